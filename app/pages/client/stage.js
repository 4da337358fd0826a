// The stage and its player. Two <video> elements take turns: while one plays, the other has the next scene ready.

const player = (() => {
  const make = () => h("video.wn-video", { playsinline: true, preload: "auto", tabindex: "-1", "aria-hidden": "true", disablepictureinpicture: true });
  const videos = [make(), make()];
  const poster = h("img.wn-still", { alt: "" });
  const preview = h("img.wn-preview", { alt: "", hidden: true });
  const blank = h("div.wn-nothing", { hidden: true }, sun(), h("p", {}, ""));
  const bar = h("span.wn-bar-fill");
  const barBox = h("div.wn-bar", { role: "progressbar", "aria-label": T("stage.drawing"), "aria-valuemin": 0 }, bar);
  const progressText = h("p.wn-progress-text");
  const cancel = h("button.wn-second.wn-cancel", { type: "button", onclick: () => view.job && act("cancel", { job: view.job.id }) }, T("stage.stop"));
  const progress = h("div.wn-progress", { hidden: true }, h("div.wn-row", {}, progressText, cancel), barBox);
  const screen = h("div.wn-screen", {}, poster, ...videos, preview, blank, progress);
  const caption = h("p.wn-caption");
  const dots = h("div.wn-dots", { "aria-hidden": "true" });
  const playAll = h("button.wn-second.wn-play", { type: "button", onclick: () => toggle() });
  const replay = h("button.wn-quiet", { type: "button", onclick: () => play(current(), current()), title: T("stage.replay_title") }, icon("again"), h("span", {}, T("stage.replay")));
  const full = h("button.wn-quiet", { type: "button", "aria-label": T("stage.full"), title: T("stage.full"), onclick: () => fullScreen() }, icon("full"));
  const bar2 = h("div.wn-transport", {}, playAll, replay, dots, full);
  const below = h("div.wn-below"); // where other parts put what belongs to the scene that is shown
  const node = h("section.wn-stage", { "aria-label": T("stage.name") }, screen, caption, bar2, below);

  let front = 0;
  let run = null; // {list, at, last} while playing
  let shownClip = null;
  let first = true;

  const path = () => (view && view.path) || [];
  const current = () => Math.max(0, path().findIndex((one) => one.id === view.here.scene));

  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (node.requestFullscreen) node.requestFullscreen().catch(() => {});
  }

  function label(playing) {
    playAll.replaceChildren(icon(playing ? "pause" : "play"), h("span", {}, T(playing ? "stage.stop" : "stage.play")));
    playAll.dataset.playing = playing ? "yes" : "no";
  }
  label(false);

  function raise(index) {
    videos.forEach((video, at) => video.classList.toggle("wn-front", at === index));
    front = index;
  }

  function load(video, clip) {
    if (video.dataset.clip === clip) return;
    video.dataset.clip = clip;
    video.src = media(clip);
    video.load();
  }

  // Show `video` only once it has a picture, so that nothing flashes between two scenes.
  function whenPainted(video, then) {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(() => then());
    else video.addEventListener("playing", then, { once: true });
  }

  function play(from, to) {
    const list = path().map((one, at) => ({ ...one, at })).filter((one) => one.clip && one.at >= from && one.at <= to);
    if (!list.length) return;
    stop(true);
    run = { list, at: 0 };
    root.classList.add("wn-playing");
    label(true);
    begin(videos[1 - front], 1 - front);
  }

  function begin(video, index) {
    const mine = run;
    const one = run.list[run.at];
    load(video, one.clip);
    video.muted = false;
    video.currentTime = 0;
    whenPainted(video, () => { if (run === mine) raise(index); });
    video.onended = () => { if (run === mine) next(index); };
    video.onerror = () => { if (run === mine) next(index); };
    video.play().catch(() => {
      video.muted = true; // a browser that wants silence first
      video.play().catch(() => { if (run === mine) stop(); });
    });
    caption.textContent = one.words;
    strip.mark(one.id);
    mark(one.at);
    const following = run.list[run.at + 1];
    if (following) load(videos[1 - index], following.clip);
  }

  function next(index) {
    run.at += 1;
    root.dataset.played = String(Number(root.dataset.played || 0) + 1);
    if (run.at >= run.list.length) return stop();
    begin(videos[1 - index], 1 - index);
  }

  function stop(quiet) {
    const was = run;
    run = null;
    videos.forEach((video) => { video.pause(); video.onended = null; });
    root.classList.remove("wn-playing");
    label(false);
    strip.mark(null);
    mark(-1);
    if (was && !quiet && view && view.page === "room") {
      const one = path()[current()];
      caption.textContent = one ? one.words : "";
      const last = was.list[Math.min(was.at, was.list.length - 1)];
      if (one && last.id !== one.id) rest(one, false);
    }
  }

  const toggle = () => (run ? stop() : play(0, path().length - 1));

  function mark(at) {
    [...dots.children].forEach((dot, index) => dot.classList.toggle("wn-on", index === at));
  }

  // The chosen scene: played once when it comes new, then at rest on its last picture. What was shown before stays until
  // the clip has something to show; the last picture must not give the ending away.
  function rest(one, fresh) {
    shownClip = one.clip;
    const settle = () => {
      const still = one.last || one.thumb;
      poster.hidden = !still;
      if (still) poster.src = media(still);
    };
    const stand = () => { settle(); raise(-1); };
    if (!one.clip || !fresh || calm.matches) return stand();
    const index = front < 0 ? 0 : 1 - front;
    const video = videos[index];
    load(video, one.clip);
    video.muted = true;
    video.onended = null;
    video.currentTime = 0;
    whenPainted(video, () => {
      if (run || shownClip !== one.clip) return;
      raise(index);
      settle();
    });
    video.play().catch(() => { if (!run && shownClip === one.clip) stand(); });
  }

  function before_(now, one) {
    const earlier = now.path[now.path.indexOf(one) - 1];
    return earlier ? earlier.last || earlier.thumb : null;
  }

  function draw(now, before) {
    const one = now.path.find((scene) => scene.id === now.here.scene) || null;
    const job = now.job;
    const drawing = job && (job.kind === "draw" || job.kind === "describe");
    blank.hidden = !!(one && (one.clip || one.thumb)) || !!now.still || !!(job && job.preview);
    blank.lastChild.textContent = drawing ? "" : T("stage.not_drawn");
    if (one && !run && (one.clip !== shownClip || first || !before || before.here.scene !== now.here.scene)) {
      rest(one, true);
      first = false;
    } else if (!one || (!one.clip && !one.thumb)) {
      // nothing of its own yet: what was brought in, or how the scene before ended
      const still = now.still || (drawing && one && before_(now, one));
      blank.hidden = blank.hidden || !!still;
      poster.hidden = !still;
      if (still) poster.src = media(still);
      raise(-1);
      shownClip = null;
    }
    if (!run) caption.textContent = drawing && job.kind === "draw" ? job.words || "" : one ? one.words : "";
    const many = now.path.filter((scene) => scene.clip).length;
    bar2.hidden = !now.path.length;
    bar2.style.visibility = many ? "visible" : "hidden"; // keeps its place, so that nothing jumps
    replay.hidden = !(one && one.clip);
    if (dots.children.length !== now.path.length) dots.replaceChildren(...now.path.map(() => h("i")));
    drawProgress(job, drawing);
  }

  function drawProgress(job, drawing) {
    progress.hidden = !drawing;
    screen.classList.toggle("wn-drawing", !!(drawing && job.kind === "draw"));
    if (!drawing) {
      preview.hidden = true;
      preview.removeAttribute("src");
      return;
    }
    const share = job.total ? job.step / job.total : 0;
    bar.style.width = Math.round(100 * Math.max(0.02, share)) + "%";
    barBox.setAttribute("aria-valuemax", job.total || 1);
    barBox.setAttribute("aria-valuenow", job.step || 0);
    barBox.setAttribute("aria-valuetext", job.text);
    barBox.classList.toggle("wn-waiting", !job.total);
    progressText.textContent = job.text;
    cancel.disabled = !!job.cancelling;
    cancel.textContent = T(job.cancelling ? "progress.stopping" : "stage.stop");
    if (job.preview && preview.dataset.src !== job.preview) {
      preview.dataset.src = job.preview;
      const fresh = new Image();
      fresh.onload = () => {
        if (preview.dataset.src !== job.preview) return;
        preview.src = fresh.src;
        preview.hidden = false;
      };
      fresh.src = job.preview;
    }
    if (!job.preview) {
      preview.hidden = true;
      preview.dataset.src = "";
    }
    preview.style.filter = "blur(" + (Math.max(0, 1 - share) * 2.5).toFixed(1) + "px)";
  }

  return { node, below, screen, bar: bar2, draw, play, stop, toggle, forget: () => { shownClip = null; first = true; } };
})();
