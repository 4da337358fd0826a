// The film as it is cut, played at once: nothing is rendered. Two <video> elements take turns on one clock, so that
// scenes are trimmed, mixed and darkened as the finished film will be; cards and words lie over them.

// Where everything is in time: [{scene or card, at, length, from, lead, tail, join}], and how long the film is. As
// app/reel/timeline.py has it, in seconds instead of frames and without a voice.
function cutTimes(plan, scenes) {
  const parts = [];
  let at = 0;
  if (plan.title) {
    parts.push({ card: plan.title, at, length: plan.title.seconds });
    at += plan.title.seconds;
  }
  const shots = plan.shots.map((shot) => {
    const scene = scenes.get(shot.scene);
    const from = Math.min(shot.start, Math.max(0, scene.seconds - 0.05));
    const to = shot.end === null ? scene.seconds : Math.min(shot.end, scene.seconds);
    return { shot, scene, from, length: Math.max(0.05, to - from) };
  });
  let lead = 0;
  let into = "cut";
  shots.forEach((one, index) => {
    const after = shots[index + 1];
    const wanted = one.shot.join === "fade" ? plan.join_seconds / 2 : plan.join_seconds;
    const join = after ? one.shot.join : "cut";
    const tail = join === "cut" ? 0 : Math.min(wanted, one.length / 2, after.length / 2);
    if (into === "dissolve") at -= lead;
    parts.push({ ...one, at, lead, into, tail, join, words: one.shot.words === null ? one.scene.words : one.shot.words });
    at += one.length;
    lead = tail;
    into = join;
  });
  if (plan.end) {
    parts.push({ card: plan.end, at, length: plan.end.seconds });
    at += plan.end.seconds;
  }
  return { parts, length: at };
}

function makeCutPlayer() {
  const videos = [0, 1].map(() => h("video.wn-cut-video", { playsinline: "", preload: "auto", tabindex: "-1", "aria-hidden": "true" }));
  const dark = h("div.wn-cut-dark");
  const card = h("div.wn-cut-card", { hidden: true });
  const words = h("p.wn-cut-words", { hidden: true, "aria-hidden": "true" });
  const play = h("button.wn-second", { type: "button", onclick: () => (running ? pause() : resume()) });
  const place = h("input.wn-cut-place", { type: "range", min: 0, max: 1, step: "any", value: 0, "aria-label": T("film.place") });
  const clock = h("span.wn-small");
  const screen = h("div.wn-cut-screen", {}, videos, card, dark, words);
  const node = h("div.wn-cut-player", {}, screen, h("div.wn-row", {}, play, place, clock));
  let film = { parts: [], length: 0 };
  let plan = null;
  let now = 0; // seconds of the film
  let before = null; // when the last picture was, in milliseconds
  let running = false;
  let frame = 0;

  place.addEventListener("input", () => { now = Number(place.value) * film.length; before = null; draw(); });
  label();

  function label() {
    play.replaceChildren(icon(running ? "pause" : "play"), h("span", {}, T(running ? "film.pause" : "film.preview")));
    clock.textContent = T("film.time", { at: now.toFixed(1), of: film.length.toFixed(1) });
  }

  function show(next, scenes) {
    plan = next;
    film = cutTimes(next, scenes);
    now = Math.min(now, film.length);
    before = null;
    const [across, down] = next.output.shape === "source" ? [0, 0] : next.output.shape.split(":").map(Number);
    screen.style.aspectRatio = across ? across + " / " + down : "";
    screen.dataset.fit = next.output.fit;
    screen.dataset.look = next.captions.mode === "burned" ? next.captions.look : "plain";
    draw();
  }

  // The video of a part stands where the clock is. Whether it does; a clock never runs ahead of its pictures.
  function stand(part, video, moving) {
    if (video.dataset.clip !== part.scene.clip) {
      video.dataset.clip = part.scene.clip;
      video.src = media(part.scene.clip);
    }
    const at = part.from + Math.max(0, now - part.at);
    const off = Math.abs(video.currentTime - at);
    if (video.readyState >= 1 && !video.seeking && off > (moving ? 0.35 : 0.04)) video.currentTime = at;
    if (moving && video.paused && video.readyState >= 2) {
      video.muted = false;
      video.play().catch((error) => {
        if (error.name !== "NotAllowedError") return;
        video.muted = true; // a browser that wants silence first
        video.play().catch(() => pause());
      });
    }
    if (!moving && !video.paused) video.pause();
    return video.readyState >= 2 && !video.seeking;
  }

  // Everything as it is at `now`; false while a picture is waited for.
  function draw() {
    const on = film.parts.filter((part) => part.at <= now + 1e-6 && now < part.at + part.length);
    const shown = on.length ? on : film.parts.slice(-1);
    let ready = true;
    let black = 0;
    const seen = new Set();
    for (const part of shown) {
      if (part.card) continue;
      const index = film.parts.indexOf(part) % 2;
      const video = videos[index];
      seen.add(index);
      ready = stand(part, video, running) && ready;
      const into = now - part.at;
      const left = part.at + part.length - now;
      video.style.opacity = part.into === "dissolve" && into < part.lead ? into / part.lead : 1;
      video.style.zIndex = shown.indexOf(part);
      if (part.into === "fade" && into < part.lead) black = Math.max(black, 1 - into / part.lead);
      if (part.join === "fade" && left < part.tail) black = Math.max(black, 1 - left / part.tail);
    }
    videos.forEach((video, index) => {
      if (seen.has(index)) return;
      video.style.opacity = 0;
      if (!video.paused) video.pause();
      const coming = film.parts.find((part) => !part.card && part.at > now && film.parts.indexOf(part) % 2 === index);
      if (coming && coming.at - now < 3) stand({ ...coming, at: now }, video, false); // fetched and ready before its turn
    });
    dark.style.opacity = black;
    const title = shown.find((part) => part.card);
    card.hidden = !title;
    if (title) {
      card.dataset.look = title.card.look;
      card.replaceChildren(h("strong", {}, title.card.text), title.card.under ? h("em", {}, title.card.under) : "");
    }
    const said = shown.filter((part) => !part.card).at(now > (shown.at(-1) || {}).at + ((shown.at(-1) || {}).lead || 0) / 2 ? -1 : 0);
    const text = plan && plan.captions.mode !== "off" && said ? said.words : "";
    words.hidden = !text;
    if (words.textContent !== text) words.textContent = text;
    if (document.activeElement !== place || running) place.value = film.length ? now / film.length : 0;
    label();
    return ready;
  }

  function tick(stamp) {
    if (!running) return;
    if (!node.isConnected) return pause();
    const ready = draw();
    if (ready && before !== null) now += Math.min(0.25, (stamp - before) / 1000);
    before = stamp;
    node.dataset.at = now.toFixed(2);
    if (now >= film.length) {
      now = film.length;
      pause();
      node.dataset.played = "yes";
      return;
    }
    frame = requestAnimationFrame(tick);
  }

  function resume() {
    if (!film.parts.length) return;
    if (now >= film.length - 0.05) now = 0;
    node.dataset.played = "";
    running = true;
    before = null;
    frame = requestAnimationFrame(tick);
  }

  function pause() {
    running = false;
    cancelAnimationFrame(frame);
    videos.forEach((video) => video.pause());
    draw();
  }

  return { node, show, pause };
}
