// Of a long film only a part is read: pick(found, file, path) shows the film as a strip with a window to be moved along it,
// and gives the second at which the part starts, or null. The browser plays the part itself when it can; when it cannot
// (HEVC, Matroska), the server shows it.

const partPicker = (() => {
  const screen = h("div.wn-part-screen");
  const pictures = h("div.wn-part-pictures", { "aria-hidden": "true" });
  const pane = h("div.wn-part-pane", { role: "slider", tabindex: "0", "aria-label": T("begin.part_window"), "aria-describedby": "wn-part-hint", "aria-valuemin": "0" });
  const track = h("div.wn-part-track", {}, pictures, pane);
  const says = h("p.wn-part-says", { "aria-live": "off" });
  const take = h("button.wn-first", { type: "button", onclick: () => done(start) }, T("begin.part_take"));
  const play = h("button.wn-second.wn-part-play", { type: "button", onclick: () => toggle() });
  const node = h("dialog.wn-sheet", { "aria-labelledby": "wn-part-title" },
    h("h2", { id: "wn-part-title" }, T("begin.part_title")),
    h("p.wn-small", { id: "wn-part-hint" }, T("begin.part_hint")),
    screen, track,
    h("div.wn-row.wn-part-row", {}, says,
      h("button.wn-link", { type: "button", onclick: () => move(0) }, T("begin.part_first")),
      h("button.wn-link", { type: "button", onclick: () => move(Infinity) }, T("begin.part_last"))),
    h("div.wn-row.wn-sheet-row", {}, take, play, h("button.wn-quiet", { type: "button", onclick: () => done(null) }, T("begin.part_other"))));
  let film = null; // {seconds, length, pictures}
  let path = "";
  let start = 0;
  let answer = null; // resolves the promise of pick()
  let video = null; // while the browser can play it
  let still = null; // while it cannot
  let playing = false;
  let asked = 0;
  let timer = null;

  node.addEventListener("close", () => done(null));
  node.addEventListener("keydown", (event) => event.stopPropagation()); // the room's keys rest meanwhile
  root.append(node);

  const last = () => Math.max(0, film.seconds - film.length);
  const round = (value) => Math.round(value * 20) / 20;

  function pick(found, file, where) {
    film = found;
    path = where;
    pictures.replaceChildren(...film.pictures.map((one) => h("img", { src: one.src, alt: "", draggable: "false" })));
    pane.style.width = Math.min(100, (film.length / film.seconds) * 100) + "%";
    pane.setAttribute("aria-valuemax", String(round(last())));
    start = last();
    playing = !calm.matches;
    still = h("img", { alt: "" });
    screen.replaceChildren(still);
    tryToPlay(file);
    move(Infinity);
    node.showModal();
    pane.focus();
    return new Promise((resolve) => { answer = resolve; });
  }

  function tryToPlay(file) {
    const address = URL.createObjectURL(file);
    const one = h("video", { playsinline: "", preload: "auto", "aria-hidden": "true" });
    one.muted = true;
    one.addEventListener("loadeddata", () => {
      if (!answer || !one.videoWidth || !(one.duration > film.length / 2)) return;
      video = one;
      screen.replaceChildren(one);
      show();
    }, { once: true });
    one.addEventListener("timeupdate", () => {
      if (playing && (one.currentTime >= start + film.length || one.currentTime < start - 0.3)) one.currentTime = start;
    });
    one.addEventListener("ended", () => { one.currentTime = start; if (playing) one.play().catch(() => {}); });
    one.src = address;
    one.dataset.address = address;
    screen.pending = one;
  }

  function move(to) {
    start = Math.min(last(), Math.max(0, to === Infinity ? last() : round(to)));
    pane.style.left = (start / film.seconds) * 100 + "%";
    const values = { from: start.toFixed(1), to: Math.min(film.seconds, start + film.length).toFixed(1), of: film.seconds.toFixed(1) };
    says.textContent = T("begin.part_says", values);
    pane.setAttribute("aria-valuenow", String(round(start)));
    pane.setAttribute("aria-valuetext", says.textContent);
    show();
  }

  // What the part looks like: at once the nearest small picture or the film itself, soon the part moving.
  function show() {
    play.replaceChildren(icon(playing ? "pause" : "play"), h("span", {}, T(playing ? "begin.part_still" : "begin.part_play")));
    clearTimeout(timer);
    if (video) {
      video.currentTime = start;
      if (playing) video.play().catch(() => {});
      else video.pause();
      return;
    }
    const near = film.pictures.filter((one) => one.at <= start + 1e-3).pop() || film.pictures[0];
    if (near) still.src = near.src;
    if (playing) timer = setTimeout(() => fetchPart(), 350);
  }

  async function fetchPart() {
    const mine = ++asked;
    const got = await ask("part", { path, start });
    if (got && answer && mine === asked && playing && !video) still.src = got.src;
  }

  function toggle() {
    playing = !playing;
    asked += 1;
    show();
  }

  function done(value) {
    if (!answer) return;
    const resolve = answer;
    answer = null;
    clearTimeout(timer);
    asked += 1;
    const one = screen.pending;
    if (one) {
      one.pause();
      one.removeAttribute("src");
      URL.revokeObjectURL(one.dataset.address);
    }
    video = screen.pending = null;
    if (node.open) node.close();
    resolve(value === null ? null : Math.round(value * 1000) / 1000);
  }

  pane.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -0.25, ArrowDown: -0.25, ArrowRight: 0.25, ArrowUp: 0.25, PageDown: -film.length, PageUp: film.length };
    if (event.key in steps) move(start + steps[event.key] * (event.shiftKey ? 4 : 1));
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(Infinity);
    else if (event.key === "Enter") done(start);
    else return;
    event.preventDefault();
  });

  let grip = null; // how far from the window's left edge it was taken, in seconds
  const second = (event) => {
    const box = track.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * film.seconds;
  };
  track.addEventListener("pointerdown", (event) => {
    const at = second(event);
    grip = at >= start && at <= start + film.length ? at - start : film.length / 2;
    track.setPointerCapture(event.pointerId);
    pane.focus();
    move(at - grip);
    event.preventDefault();
  });
  track.addEventListener("pointermove", (event) => { if (grip !== null) move(second(event) - grip); });
  for (const name of ["pointerup", "pointercancel"]) track.addEventListener(name, () => { grip = null; });

  return { pick };
})();
