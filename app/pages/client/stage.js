// The stage: the scene that is shown, the film of the path, and what is being drawn. How a film plays is in play.js.

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
  const playAll = h("button.wn-second.wn-play", { type: "button", onclick: () => toggle() });
  const playHere = h("button.wn-quiet.wn-play-here", { type: "button", onclick: () => play(current()) }, icon("play"), h("span", {}, T("play.here")));
  const halt = h("button.wn-quiet.wn-halt", { type: "button", hidden: true, onclick: () => stop() }, icon("stop"), h("span", {}, T("play.stop")));
  const replay = h("button.wn-quiet.wn-replay", { type: "button", onclick: () => play(current(), current()), "aria-label": T("stage.replay_title"), title: T("stage.replay_title") }, icon("again"));
  const full = h("button.wn-quiet.wn-full", { type: "button", "aria-label": T("stage.full"), title: T("stage.full"), onclick: () => fullScreen() }, icon("full"));
  const bar2 = h("div.wn-transport", {}, playAll, playHere, halt, h("span.wn-grow"), replay, full);
  const filmBar = makeFilmBar((at, share) => goTo(at, share));
  const tools_ = h("div.wn-scene-tools");
  const below = h("div.wn-below"); // where other parts put what belongs to the scene that is shown
  const node = h("section.wn-stage", { "aria-label": T("stage.name") }, screen, caption, filmBar.node, bar2, tools_, below);

  let front = 0;
  let shownClip = null;
  let first = true;

  const path = () => (view && view.path) || [];
  const current = () => Math.max(0, path().findIndex((one) => one.id === view.here.scene));

  // Where the browser cannot give an element the whole screen (iPhones), the stage covers the page instead.
  const isFull = () => document.fullscreenElement === node || node.classList.contains("wn-cinema");
  function fullScreen() {
    if (document.fullscreenElement) return document.exitFullscreen();
    if (node.classList.contains("wn-cinema")) return cinema(false);
    if (node.requestFullscreen) node.requestFullscreen().catch(() => cinema(true));
    else cinema(true);
  }
  function cinema(on) {
    node.classList.toggle("wn-cinema", on);
    looks();
  }
  document.addEventListener("fullscreenchange", () => looks());
  let quiet = null;
  function looks() {
    const on = isFull();
    node.classList.toggle("wn-whole", on);
    full.setAttribute("aria-label", T(on ? "play.leave_full" : "stage.full"));
    full.title = T(on ? "play.leave_full" : "stage.full");
    awake();
  }
  // On the whole screen the controls step back while the film plays and nobody moves.
  function awake() {
    clearTimeout(quiet);
    node.classList.remove("wn-asleep");
    if (isFull() && film.state() === "playing") quiet = setTimeout(() => node.classList.add("wn-asleep"), 2600);
  }
  for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) node.addEventListener(name, () => awake());

  function label(state) {
    const playing = state === "playing";
    playAll.replaceChildren(icon(playing ? "pause" : "play"), h("span", {}, T(playing ? "play.pause" : state === "paused" ? "play.resume" : "stage.play")));
    playAll.dataset.playing = playing ? "yes" : "no";
    halt.hidden = state === "stopped";
    playHere.hidden = state !== "stopped" || current() === 0 || !ready();
    replay.hidden = state !== "stopped" || !ready();
  }
  const ready = () => !!(path()[current()] || {}).clip;

  function raise(index) {
    videos.forEach((video, at) => video.classList.toggle("wn-front", at === index));
    front = index;
  }

  const film = makeFilm(videos, raise, {
    scene(one) {
      caption.textContent = one.words;
      announce(T("play.scene", { n: one.at + 1, words: one.words }));
      strip.mark(one.id);
    },
    over() { root.dataset.played = String(Number(root.dataset.played || 0) + 1); },
    time(at, share) { filmBar.mark(film.list()[at] ? barAt(film.list()[at].id) : -1, share); },
    state(state, last, silent) {
      root.classList.toggle("wn-playing", state === "playing");
      root.classList.toggle("wn-paused", state === "paused");
      label(state);
      awake();
      if (state !== "stopped") return;
      strip.mark(null);
      filmBar.mark(-1, 0);
      if (silent || !view || view.page !== "room") return;
      const one = path()[current()];
      caption.textContent = one ? one.words : "";
      if (one && last.id !== one.id) rest(one, false);
    },
  });
  const { load, whenPainted, stop } = film;
  const playable = () => path().map((one, at) => ({ ...one, at })).filter((one) => one.clip);
  const barAt = (id) => playable().findIndex((one) => one.id === id);

  function play(from, to) {
    film.play(playable().filter((one) => one.at >= from && one.at <= (to === undefined ? Infinity : to)), 0, front);
  }
  // A press on the film's bar: there, in the film of the whole path.
  function goTo(at, share) {
    const list = playable();
    if (!list[at]) return;
    if (film.state() === "stopped" || film.list().length !== list.length) film.play(list, at, front, share);
    else film.seek(at, share);
  }
  // Arrow keys while a film runs. False when there is none: they then walk along the strip.
  function step(by) {
    if (film.state() === "stopped") return false;
    film.seek(film.at() + by);
    return true;
  }
  function leave() {
    if (document.fullscreenElement === node) document.exitFullscreen();
    else if (node.classList.contains("wn-cinema")) cinema(false);
    else if (film.state() !== "stopped") stop();
    else return false;
    return true;
  }
  const toggle = () => (film.state() === "playing" ? film.pause() : film.state() === "paused" ? film.resume() : play(0));

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
      if (film.state() !== "stopped" || shownClip !== one.clip) return;
      raise(index);
      settle();
    });
    video.play().catch(() => { if (film.state() === "stopped" && shownClip === one.clip) stand(); });
  }

  // Another take of the scene, shown large without being chosen: {id, number, kind, clip, last, thumb}; null: the chosen one.
  let peeked = null;
  function peek(take) {
    if (film.state() !== "stopped") stop(true);
    peeked = take ? { scene: view.here.scene, take } : null;
    const one = path()[current()];
    if (one) rest(shown(one), !!take);
    if (view) drawTools(view, one);
  }
  const shown = (one) => (peeked && one && peeked.scene === one.id ? { ...one, ...peeked.take, id: one.id, words: one.words, take: peeked.take } : one);

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
    const still_ = film.state() === "stopped";
    if (before && before.here.scene !== now.here.scene) peeked = null;
    if (one && still_ && (shown(one).clip !== shownClip || first || !before || before.here.scene !== now.here.scene)) {
      rest(shown(one), true);
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
    if (still_) caption.textContent = drawing && job.kind === "draw" ? job.words || "" : one ? one.words : "";
    const many = now.path.filter((scene) => scene.clip).length;
    bar2.hidden = !now.path.length;
    bar2.style.visibility = many ? "visible" : "hidden"; // keeps its place, so that nothing jumps
    filmBar.draw(playable());
    filmBar.node.hidden = many < 2;
    label(film.state());
    drawTools(now, one);
    drawProgress(job, drawing);
  }

  // What can be done with the take that is shown; parts bring their own buttons by addTakeTool.
  let toolsKey = "";
  function drawTools(now, one) {
    const made = !!(one && one.take);
    one = shown(one);
    const key = JSON.stringify([made && one, takeTools.map((tool) => (tool.key ? tool.key(now, one) : null))]);
    if (key === toolsKey) return;
    toolsKey = key;
    const had = tools_.contains(document.activeElement) && document.activeElement.dataset.tool;
    tools_.replaceChildren(...(made ? takeTools.map((tool) => tool.node(one.take, now, one)).filter(Boolean) : []));
    if (had) (tools_.querySelector('[data-tool="' + had + '"]') || playAll).focus();
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
    cancel.textContent = T(job.cancelling ? "progress.stopping" : takes.severalComing() ? "takes.stop_this" : "stage.stop");
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

  label("stopped");
  return { node, below, screen, bar: bar2, draw, play, stop, toggle, step, leave, peek, fullScreen, forget: () => { shownClip = null; first = true; peeked = null; toolsKey = ""; } };
})();
