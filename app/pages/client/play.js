// A film of scenes without a gap: two <video> elements take turns. While one plays, the other stands on the first
// picture of the next scene, and is raised at the moment when the last picture has been seen for as long as the others.

// What other parts offer for one take: {order, node(take, view) -> button or null}. A take is {id, number, kind}.
const takeTools = [];
function addTakeTool(tool) {
  takeTools.push(tool);
  takeTools.sort((one, other) => one.order - other.order);
}

const EARLY = 70; // milliseconds before its turn that a video is started; well below the time of one picture
const PAINT = 12; // and before which it is raised: the screen shows it a moment later

// A small card that opens above its button: a native details, closed by Escape, by a press elsewhere, by going on.
function popover(summary, ...kids) {
  const node = h("details.wn-pop", {}, summary, h("div.wn-pop-card", {}, ...kids));
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !node.open) return;
    node.open = false;
    summary.focus();
    event.stopPropagation();
  });
  node.addEventListener("focusout", (event) => { if (event.relatedTarget && !node.contains(event.relatedTarget)) node.open = false; });
  return node;
}
document.addEventListener("click", (event) => {
  for (const node of root.querySelectorAll(".wn-pop[open]")) if (!node.contains(event.target) || event.target.closest("a")) node.open = false;
});

// `told`: what the stage does when a scene begins (scene), time passes (share) and the film starts, rests or ends (state).
function makeFilm(videos, raise, told) {
  let run = null; // {list, at, front, state: playing | paused, swap: timer, moving}
  let ticking = 0;

  const one = () => run.list[run.at];
  const length = (scene, video) => scene.seconds || (video.duration > 0 ? video.duration : 2);

  function load(video, clip) {
    if (video.dataset.clip === clip) return;
    video.dataset.clip = clip;
    video.dataset.painted = "";
    video.src = media(clip);
    whenPainted(video, () => { if (video.dataset.clip === clip) video.dataset.painted = "yes"; });
    video.load();
  }

  // A video that has never shown a frame of its clip is black or empty: it is not raised before it has.
  function whenPainted(video, then) {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(() => then());
    else video.addEventListener("loadeddata", then, { once: true });
  }

  function sound(video) {
    video.muted = false;
    return video.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      video.muted = true; // a browser that wants silence first
      video.play().catch(() => { if (run) pause(); });
    });
  }

  // Begin the scene at `run.at`, `share` of it already over, in the video that is not in front.
  function begin(share) {
    const mine = run;
    const turn = (run.turn += 1); // a later beginning makes this one void
    const scene = one();
    const index = 1 - run.front;
    const video = videos[index];
    run.moving = true;
    clearTimeout(run.swap);
    videos[run.front].onended = null;
    load(video, scene.clip);
    let started = false;
    const start = () => {
      if (started || run !== mine || mine.turn !== turn) return;
      started = true;
      const old = videos[run.front];
      run.front = index;
      run.moving = false;
      raise(index);
      old.pause();
      video.onended = () => { if (run === mine && !run.moving) next(); };
      video.onerror = () => { if (run === mine) next(); };
      if (run.state === "playing") sound(video);
      watch(video);
      told.scene(scene);
      prepare();
    };
    video.onended = null;
    const at = Math.min(0.98, Math.max(0, share)) * length(scene, video);
    if (at < 0.02 && video.currentTime < 0.12 && video.dataset.painted && !video.seeking && video.readyState >= 2) return start();
    const arm = () => {
      whenPainted(video, start);
      const jump = () => {
        video.addEventListener("seeked", () => setTimeout(start, 150), { once: true }); // no new picture: it stood there already
        video.currentTime = at;
      };
      if (video.readyState >= 1) jump();
      else video.addEventListener("loadedmetadata", jump, { once: true });
    };
    // a film that does not come is asked for once more before the story goes on without it
    let failed = 0;
    video.onerror = () => {
      if (started || run !== mine || mine.turn !== turn) return;
      if ((failed += 1) > 1) { run.moving = false; run.front = index; return next(); }
      setTimeout(() => {
        if (started || run !== mine || mine.turn !== turn) return;
        video.dataset.clip = "";
        load(video, scene.clip);
        arm();
      }, 500);
    };
    if (video.error) video.onerror(); // it failed while it was fetched ahead
    else arm();
  }

  // The scene that follows is fetched and decoded while this one plays.
  function prepare() {
    const following = run.list[run.at + 1];
    if (!following) return;
    const video = videos[1 - run.front];
    video.pause();
    video.onended = null;
    load(video, following.clip);
    if (video.currentTime > 0) {
      video.dataset.painted = "";
      whenPainted(video, () => { if (video.dataset.clip === following.clip) video.dataset.painted = "yes"; });
      video.currentTime = 0;
    }
  }

  // Frame by frame, so that the end is seen coming: "ended" is told too late, and sound may be longer than the pictures.
  function watch(video) {
    const mine = run;
    const scene = one();
    if (!video.requestVideoFrameCallback) return;
    const seen = (_now, frame) => {
      if (run !== mine || one() !== scene || videos[run.front] !== video) return;
      const left = length(scene, video) - frame.mediaTime;
      clearTimeout(run.swap);
      if (left < 0.3 && run.state === "playing" && run.list[run.at + 1]) {
        const over = left * 1000 + frame.expectedDisplayTime;
        const still = () => run === mine && run.state === "playing" && one() === scene;
        // it takes a moment to get going, and nobody sees that the first picture already plays behind the last one
        run.swap = setTimeout(() => {
          if (!still()) return;
          const behind = videos[1 - run.front];
          if (behind.dataset.painted && behind.dataset.clip === run.list[run.at + 1].clip) sound(behind);
          run.swap = setTimeout(() => { if (still()) next(); }, over - PAINT - performance.now());
        }, over - EARLY - performance.now());
      }
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
  }

  function next() {
    clearTimeout(run.swap);
    told.over();
    if (run.at + 1 >= run.list.length) return stop();
    run.at += 1;
    begin(0);
  }

  function tick() {
    cancelAnimationFrame(ticking);
    if (!run) return;
    const video = videos[run.front];
    if (!run.moving) told.time(run.at, Math.min(1, video.currentTime / length(one(), video)));
    ticking = requestAnimationFrame(tick);
  }

  function play(list, at = 0, front = 0, share = 0) {
    if (!list.length) return;
    stop(true);
    run = { list, at, front: Math.max(0, front), state: "playing", swap: null, moving: false, turn: 0 };
    told.state("playing");
    begin(share);
    tick();
  }

  function pause() {
    if (!run || run.state === "paused") return;
    clearTimeout(run.swap);
    run.state = "paused";
    videos.forEach((video) => video.pause());
    told.state("paused");
  }

  function resume() {
    if (!run || run.state === "playing") return;
    run.state = "playing";
    told.state("playing");
    const video = videos[run.front];
    if (run.moving) return;
    if (video.ended || length(one(), video) - video.currentTime < 0.02) return next();
    sound(video);
    watch(video);
  }

  // To a scene of the film, and how far into it.
  function seek(at, share = 0) {
    if (!run) return;
    run.at = Math.min(Math.max(0, at), run.list.length - 1);
    told.time(run.at, share);
    begin(share);
  }

  // A scene that plays once because it is new is no film: it goes on to its last picture, whatever is pressed meanwhile.
  function stop(quiet) {
    const was = run;
    if (!was) return;
    clearTimeout(was.swap);
    run = null;
    cancelAnimationFrame(ticking);
    videos.forEach((video) => { video.pause(); video.onended = null; video.onerror = null; });
    told.state("stopped", was.list[Math.min(was.at, was.list.length - 1)], quiet);
  }

  return {
    play, pause, resume, seek, stop, load, whenPainted,
    state: () => (run ? run.state : "stopped"),
    at: () => (run ? run.at : -1),
    list: () => (run ? run.list : []),
  };
}

// The film's bar: a piece for each scene, as wide as it is long. One slider for the keyboard and for screen readers.
function makeFilmBar(go) {
  const track = h("div.wn-film-track", { "aria-hidden": "true" });
  const node = h("div.wn-film", { role: "slider", tabindex: "0", "aria-label": T("play.bar"), "aria-valuemin": 1 }, track);
  let scenes = [];
  let fills = [];
  let now = [-1, 0];
  let key = "";

  function draw(list) {
    const fresh = JSON.stringify(list.map((one) => [one.id, one.seconds]));
    if (fresh === key) return;
    key = fresh;
    scenes = list;
    fills = scenes.map(() => h("i.wn-film-fill"));
    track.replaceChildren(...scenes.map((one, index) => h("span.wn-film-scene", { style: "flex-grow: " + (one.seconds || 2), title: T("play.scene", { n: one.at + 1, words: one.words || "" }) }, fills[index])));
    track.classList.toggle("wn-many", scenes.length > 80);
    node.setAttribute("aria-valuemax", scenes.length || 1);
    node.hidden = scenes.length < 1;
    now = [null, 0];
    mark(-1, 0);
  }

  function mark(at, share) {
    const moved = now[0] !== at;
    now = [at, share];
    if (moved) {
      fills.forEach((fill, index) => { fill.style.width = index < at ? "100%" : "0"; });
      [...track.children].forEach((piece, index) => piece.classList.toggle("wn-on", index === at));
      const one = scenes[Math.max(0, at)];
      node.setAttribute("aria-valuenow", Math.max(1, at + 1));
      node.setAttribute("aria-valuetext", one ? T("play.scene", { n: one.at + 1, words: one.words || "" }) : "");
    }
    if (fills[at]) fills[at].style.width = (100 * share).toFixed(2) + "%";
  }

  node.addEventListener("click", (event) => {
    const piece = event.target.closest(".wn-film-scene");
    const pieces = [...track.children];
    const index = piece ? pieces.indexOf(piece) : pieces.findIndex((one) => one.getBoundingClientRect().right >= event.clientX);
    if (index < 0) return;
    const box = pieces[index].getBoundingClientRect();
    go(index, box.width ? (event.clientX - box.left) / box.width : 0);
  });
  node.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? scenes.length - 1 : step ? Math.max(0, now[0]) + step : null;
    if (to === null || !scenes.length) return;
    event.preventDefault();
    go(Math.min(scenes.length - 1, Math.max(0, to)), 0);
  });

  return { node, draw, mark };
}
