// The map of the story: every scene on one sheet that can be moved and made larger, walked with the arrow keys.

ICONS.map = "M4 12h3.500M10.500 12H14M7.500 12m-1.500 0a1.500 1.500 0 1 0 3 0 1.500 1.500 0 1 0-3 0M14 6h3M9 12c3 0 2-6 5-6M9 12c3 0 2 6 5 6M14 18h3M17 6m0 0a1.500 1.500 0 1 0 3 0 1.500 1.500 0 1 0-3 0M17 18m0 0a1.500 1.500 0 1 0 3 0 1.500 1.500 0 1 0-3 0";
ICONS.fit = "M4 9V5h4M20 9V5h-4M4 15v4h4M20 15v4h-4M9 12h6";

const map = (() => {
  const WIDE = 172, HIGH = 154, CARD = 140, MIDDLE = 42, EDGE = 28; // pitch of columns and rows, a card, its line, a margin
  const LEAST = 0.06, MOST = 1.6, FAR = 0.42;

  const world = h("div.wn-map-world");
  const sheet = h("div.wn-map-sheet", {}, world);
  const words_ = h("p.wn-map-words", { "aria-hidden": "true" });
  const count = h("p.wn-small.wn-map-count");
  const button = (label, does, ...kids) => h("button.wn-quiet.wn-map-tool", { type: "button", "aria-label": label, title: label, onclick: does }, ...kids);
  const bar = h("div.wn-map-bar", {}, count,
    button(T("map.smaller"), () => zoom(1 / 1.3), "−"), button(T("map.larger"), () => zoom(1.3), "+"),
    button(T("map.fit_all"), () => fit(), icon("fit"), h("span", {}, T("map.fit"))),
    h("button.wn-quiet.wn-map-tool", { type: "button", onclick: () => thrown.open() }, icon("bin"), h("span", {}, T("wander.trash"))));
  const panel = h("div.wn-map", {}, bar, sheet, words_, h("p.wn-small.wn-map-hint", {}, T("map.hint")));

  let scenes = [];
  let laid = null;
  let items = []; // the nodes, in the order of the scenes
  let active = 0; // the one that the keyboard is on
  let scale = 1, left = 0, top_ = 0;
  let known = ""; // what the map that is drawn was made from
  const x = (at) => EDGE + laid.column[at] * WIDE;
  const y = (at) => EDGE + laid.row[at] * HIGH;

  // The sheet ----------------------------------------------------------------------------------------------------------

  function place() {
    world.style.transform = "translate(" + left + "px," + top_ + "px) scale(" + scale + ")";
    sheet.classList.toggle("wn-map-far", scale < FAR);
  }
  const full = () => ({ w: laid.columns * WIDE + 2 * EDGE - (WIDE - CARD), h: laid.rows * HIGH + 2 * EDGE - 16 });

  function hold() { // some of the story always stays in sight
    const box = sheet.getBoundingClientRect(), all = full();
    const keep = (at, size, room) => (size * scale <= room ? Math.min(Math.max(at, 0), room - size * scale) : Math.min(60, Math.max(room - 60 - size * scale, at)));
    left = keep(left, all.w, box.width);
    top_ = keep(top_, all.h, box.height);
    place();
  }
  function zoom(by, cx, cy) {
    const box = sheet.getBoundingClientRect();
    const px = cx === undefined ? box.width / 2 : cx - box.left, py = cy === undefined ? box.height / 2 : cy - box.top;
    const next = Math.min(MOST, Math.max(LEAST, scale * by));
    left = px - ((px - left) * next) / scale;
    top_ = py - ((py - top_) * next) / scale;
    scale = next;
    hold();
  }
  function fit(most = 1) {
    const box = sheet.getBoundingClientRect(), all = full();
    scale = Math.min(most, Math.max(LEAST, Math.min(box.width / all.w, box.height / all.h)));
    left = (box.width - all.w * scale) / 2;
    top_ = (box.height - all.h * scale) / 2;
    place();
  }
  function center(at) {
    const box = sheet.getBoundingClientRect();
    left = box.width / 2 - (x(at) + CARD / 2) * scale;
    top_ = box.height / 2 - (y(at) + HIGH / 2) * scale;
    hold();
  }
  function reveal(at) { // as little as needed
    const box = sheet.getBoundingClientRect();
    const gap = (start, size, room) => (start < 8 ? 8 - start : start + size > room - 8 ? room - 8 - start - size : 0);
    left += gap(left + x(at) * scale, CARD * scale, box.width);
    top_ += gap(top_ + y(at) * scale, (HIGH - 14) * scale, box.height);
    place();
  }

  const fingers = new Map();
  let moved = 0, spread = 0;
  const apart = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  sheet.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 1) moved = 0;
    if (fingers.size === 2) spread = apart();
  });
  sheet.addEventListener("pointermove", (event) => {
    const was = fingers.get(event.pointerId);
    if (!was) return;
    const dx = event.clientX - was.x, dy = event.clientY - was.y;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 2) {
      const now = apart(), [a, b] = [...fingers.values()];
      moved = 99;
      if (spread) zoom(now / spread, (a.x + b.x) / 2, (a.y + b.y) / 2);
      spread = now;
      return;
    }
    moved += Math.abs(dx) + Math.abs(dy);
    if (moved < 6) return;
    if (!sheet.hasPointerCapture(event.pointerId)) sheet.setPointerCapture(event.pointerId);
    left += dx;
    top_ += dy;
    hold();
  });
  for (const end of ["pointerup", "pointercancel"]) sheet.addEventListener(end, (event) => fingers.delete(event.pointerId));
  sheet.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) return zoom(Math.exp(-event.deltaY / 240), event.clientX, event.clientY);
    const by = event.deltaMode ? 30 : 1;
    left -= (event.shiftKey ? event.deltaY : event.deltaX) * by;
    top_ -= (event.shiftKey ? 0 : event.deltaY) * by;
    hold();
  }, { passive: false });
  sheet.addEventListener("scroll", () => { sheet.scrollLeft = sheet.scrollTop = 0; }); // focus must not move what the transform places

  // Walking ------------------------------------------------------------------------------------------------------------

  const at_ = (target) => (target && target.closest ? items.indexOf(target.closest(".wn-map-node")) : -1);
  function say_(at) {
    words_.textContent = at < 0 ? "" : scenes[at].words || T("strip.no_words");
  }
  function walk(to) {
    if (to === undefined || to < 0) return;
    items[active].tabIndex = -1;
    active = to;
    items[active].tabIndex = 0;
    items[active].focus({ preventScroll: true });
    reveal(active);
  }
  const siblings = (at) => (scenes[at].parent < 0 ? scenes.map((one, n) => n).filter((n) => scenes[n].parent < 0) : laid.kids[scenes[at].parent]);
  function beside(at, step) { // another way for the same scene; else the next scene in that direction in the same column
    const own = siblings(at);
    const next = own[own.indexOf(at) + step];
    if (next !== undefined) return next;
    let best;
    for (let other = 0; other < scenes.length; other++) {
      const away = (laid.row[other] - laid.row[at]) * step;
      if (laid.column[other] === laid.column[at] && away > 0 && (best === undefined || away < (laid.row[best] - laid.row[at]) * step)) best = other;
    }
    return best;
  }
  const shown = () => new Set(view.path.map((one) => one.id));
  function onward(at) {
    const on = shown();
    return laid.kids[at].find((kid) => on.has(scenes[kid].id)) ?? laid.kids[at][0];
  }
  function last(at) {
    let end = at;
    for (let next = onward(end); next !== undefined; next = onward(end)) end = next;
    return end;
  }
  function first(at) {
    let from = at;
    while (scenes[from].parent >= 0) from = scenes[from].parent;
    return from;
  }
  const KEYS = {
    ArrowLeft: () => walk(scenes[active].parent), ArrowRight: () => walk(onward(active)),
    ArrowUp: () => walk(beside(active, -1)), ArrowDown: () => walk(beside(active, 1)),
    Home: () => walk(first(active)), End: () => walk(last(active)),
    Enter: () => go(active), " ": () => go(active),
    "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), "0": () => fit(), m: () => drawer.shut(),
  };
  panel.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on_button = event.target.tagName === "BUTTON";
    const does = KEYS[event.key];
    if (!does || (on_button && /^(Enter| |Arrow.*|Home|End)$/.test(event.key))) return;
    event.preventDefault();
    does();
  });
  sheet.addEventListener("click", (event) => {
    const at = at_(event.target);
    if (at >= 0 && moved < 6) go(at);
  });
  sheet.addEventListener("focusin", (event) => say_(at_(event.target)));
  sheet.addEventListener("pointerover", (event) => { const at = at_(event.target); if (at >= 0) say_(at); });
  sheet.addEventListener("pointerleave", () => say_(items.indexOf(document.activeElement)));

  function go(at) {
    const scene = scenes[at].id;
    drawer.shut();
    openScene(scene);
  }

  // Drawing ------------------------------------------------------------------------------------------------------------

  const mould = h("div.wn-map-node", { role: "treeitem", tabindex: "-1" }, h("span.wn-map-picture"), h("span.wn-number"), h("span.wn-map-said"));

  function facts(one, at) {
    const kids = laid.kids[at].length;
    return [
      one.takes ? T("map.takes", { n: one.takes }) : one.drawing ? T("map.drawing") : T("map.undrawn"),
      one.star ? T("map.star") : "", one.cut && one.parent >= 0 ? T("map.cut") : "", kids > 1 ? T("map.ways_on", { n: kids }) : "",
      one.id === view.here.scene ? T("map.here") : shown().has(one.id) ? T("map.shown") : "",
    ].filter(Boolean).join(", ");
  }

  function node(one, at, on) {
    const made = mould.cloneNode(true);
    const [picture, number, said] = made.children;
    made.style.transform = "translate(" + x(at) + "px," + y(at) + "px)";
    if (one.thumb) {
      const image = document.createElement("img");
      image.loading = "lazy";
      image.decoding = "async";
      image.alt = "";
      image.draggable = false;
      image.src = media(one.thumb);
      picture.append(image);
    } else picture.append(h("span.wn-map-bare", {}, one.drawing ? T("map.drawing") : T("map.undrawn")));
    if (one.takes > 1 || one.star) picture.append(h("span.wn-map-badge", {}, (one.star ? "★ " : "") + (one.takes > 1 ? T("map.takes", { n: one.takes }) : "")));
    number.textContent = String(laid.column[at] + 1);
    said.textContent = one.words || "…";
    if (on.has(one.id)) made.classList.add("wn-map-on");
    if (one.drawing) made.classList.add("wn-pending");
    if (one.id === view.here.scene) made.setAttribute("aria-current", "true");
    const own = siblings(at);
    made.setAttribute("aria-level", String(laid.column[at] + 1));
    made.setAttribute("aria-posinset", String(own.indexOf(at) + 1));
    made.setAttribute("aria-setsize", String(own.length));
    made.setAttribute("aria-label", T("map.label", { scene: T("map.scene", { number: laid.column[at] + 1 }), words: (one.words || T("strip.no_words")).replace(/[.]+$/, ""), facts: facts(one, at) }));
    return made;
  }

  function lines(on) {
    const NS = "http://www.w3.org/2000/svg";
    const all = full();
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("class", "wn-map-lines");
    svg.setAttribute("width", all.w);
    svg.setAttribute("height", all.h);
    svg.setAttribute("aria-hidden", "true");
    const drawn = { "wn-map-line": [], "wn-map-line-on": [] };
    scenes.forEach((one, at) => {
      if (one.parent < 0) return;
      const x0 = x(one.parent) + CARD, y0 = y(one.parent) + MIDDLE, x1 = x(at), y1 = y(at) + MIDDLE, bend = x0 + 16;
      const way = y0 === y1 ? "M" + x0 + " " + y0 + "H" + x1
        : "M" + x0 + " " + y0 + "H" + (bend - 8) + "Q" + bend + " " + y0 + " " + bend + " " + (y0 + 8) + "V" + (y1 - 8) + "Q" + bend + " " + y1 + " " + (bend + 8) + " " + y1 + "H" + x1;
      drawn[on.has(one.id) && on.has(scenes[one.parent].id) ? "wn-map-line-on" : "wn-map-line"].push(way);
    });
    for (const [kind, ways] of Object.entries(drawn)) {
      const path = document.createElementNS(NS, "path");
      path.setAttribute("class", kind);
      path.setAttribute("d", ways.join(""));
      svg.append(path);
    }
    return svg;
  }

  function draw(answer) {
    const from = performance.now();
    scenes = answer.scenes;
    laid = layTree(scenes);
    const on = shown();
    const tree = h("div.wn-map-tree", { role: "tree", "aria-label": T("map.tree") });
    items = scenes.map((one, at) => node(one, at, on));
    tree.append(...items);
    world.replaceChildren(lines(on), tree);
    active = Math.max(0, scenes.findIndex((one) => one.id === view.here.scene));
    if (items[active]) items[active].tabIndex = 0;
    count.textContent = T(laid.ways > 1 ? "map.summary" : "map.summary_one", { n: scenes.length, ways: laid.ways });
    requestAnimationFrame(() => setTimeout(() => performance.measure("wn-map", { start: from, end: performance.now() })));
  }

  function begin() { // all of it when it can be read, else the neighbourhood
    fit();
    if (scale >= 0.6) return;
    scale = 0.8;
    center(active);
  }

  const about = (now) => JSON.stringify([now.here, now.story && now.story.version, now.elsewhere, now.path.map((one) => [one.id, one.thumb, one.drawing])]);

  async function open() {
    if (!view.story) return;
    const answer = await ask("map");
    if (!answer || !answer.scenes.length) return;
    known = about(view);
    drawer.open("map", T("map.title"), (body) => {
      body.append(panel);
      draw(answer);
    }, { wide: true, after: refresh });
    begin();
    if (items[active]) items[active].focus({ preventScroll: true });
    say_(active);
  }

  async function refresh(now) {
    if (!now.story || about(now) === known) return;
    known = about(now);
    const answer = await ask("map");
    if (!answer || !drawer.shows("map")) return;
    const focused = items.includes(document.activeElement) ? scenes[items.indexOf(document.activeElement)].id : null;
    draw(answer);
    const again = focused === null ? -1 : scenes.findIndex((one) => one.id === focused);
    if (again >= 0) walk(again);
  }

  window.addEventListener("resize", () => { if (drawer.shows("map")) hold(); });
  addTool({ order: 20, key: () => null, node: (now) => now.story ? h("button.wn-quiet.wn-map-open", { type: "button", title: T("map.title") + " (M)", onclick: open }, icon("map"), h("span", {}, T("map.open"))) : null });
  addKey("m", "map.key", open, () => view.page === "room" && !!view.story);
  return { open };
})();
