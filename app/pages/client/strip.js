// The strip of scenes: the path that is shown, with the other ways it could have gone one press away.

const strip = (() => {
  const list = h("ol.wn-cards");
  const trash = h("button.wn-link.wn-strip-trash", { type: "button", onclick: () => thrown.open() }, icon("bin"), h("span", {}, T("wander.trash")));
  const node = h("nav.wn-strip", { "aria-label": T("strip.scenes") }, list, h("div.wn-strip-foot", {}, trash));
  let shown = "";
  let cards = new Map(); // scene -> {key, item}: a long story redraws only what changed

  function card(one, at, now) {
    const here_ = one.id === now.here.scene;
    const button = h("button.wn-card", { type: "button", "data-scene": one.id, "aria-current": here_ ? "true" : null, onclick: () => openScene(one.id) },
      one.thumb ? h("img", { src: media(one.thumb), alt: "", loading: "lazy", decoding: "async" }) : h("span.wn-blank", {}, one.drawing ? null : h("span.wn-bare", {}, T("stage.not_drawn"))),
      h("span.wn-number", {}, String(at + 1)),
      h("span.wn-card-words", {}, one.words || (one.seen ? one.seen : "…")));
    const state = one.thumb ? "" : one.drawing ? ", " + T("map.drawing") : ", " + T("map.undrawn");
    button.setAttribute("aria-label", T("strip.scene", { n: at + 1, words: one.words || T("strip.no_words") }) + state);
    button.classList.toggle("wn-pending", one.drawing);
    const below = h("div.wn-card-below");
    if (one.ways.length > 1) {
      const index = one.ways.indexOf(one.id);
      const go = (step) => openScene(one.ways[(index + step + one.ways.length) % one.ways.length]);
      below.append(h("div.wn-ways-switch", { role: "group", "aria-label": T("strip.ways", { n: at + 1 }) },
        h("button.wn-mini", { type: "button", "aria-label": T("strip.way_before"), onclick: () => go(-1) }, icon("back")),
        h("span", {}, T("strip.way", { at: index + 1, of: one.ways.length })),
        h("button.wn-mini", { type: "button", "aria-label": T("strip.way_after"), onclick: () => go(1) }, icon("forth"))));
    }
    if (one.after && one.clip) {
      below.append(h("button.wn-link.wn-branch", { type: "button", "aria-label": T("wander.another_way_from", { n: at + 1 }), onclick: () => branch(one) }, icon("branch"), h("span", {}, T("wander.another_way"))));
    }
    return h("li", {}, button, below);
  }

  // Another way from here: the same question, asked at an earlier scene.
  async function branch(one) {
    if (one.id !== view.here.scene) {
      player.stop();
      if (!(await act("open", { scene: one.id }))) return;
    }
    const next = words.node.querySelector("[data-primary]");
    if (!next) return;
    words.node.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
    next.focus({ preventScroll: true });
    announce(T("wander.new_way"));
  }

  function draw(now) {
    node.hidden = !now.path.length;
    const key = JSON.stringify([now.path, now.here.scene]);
    if (key === shown) return;
    const moved = !shown || JSON.parse(shown)[1] !== now.here.scene;
    shown = key;
    const focused = document.activeElement && list.contains(document.activeElement) && document.activeElement.dataset.scene;
    const kept = new Map();
    const items = now.path.map((one, at) => {
      const mine = JSON.stringify([one, at, one.id === now.here.scene]);
      const was = cards.get(one.id);
      kept.set(one.id, was && was.key === mine ? was : { key: mine, item: card(one, at, now) });
      return kept.get(one.id).item;
    });
    cards = kept;
    if (items.length !== list.children.length || items.some((item, at) => item !== list.children[at])) list.replaceChildren(...items);
    const current = list.querySelector("[aria-current]");
    if (!current) return;
    if (moved) {
      const box = current.getBoundingClientRect();
      const outer = list.getBoundingClientRect();
      list.scrollLeft += box.left + box.width / 2 - (outer.left + outer.width / 2);
    }
    if (focused && !list.contains(document.activeElement)) current.focus({ preventScroll: true });
  }

  function mark(id) {
    for (const button of list.querySelectorAll(".wn-card")) button.classList.toggle("wn-now", button.dataset.scene === id);
  }

  function step(by) {
    const at = view.path.findIndex((one) => one.id === view.here.scene);
    const target = view.path[at + by];
    if (target) openScene(target.id);
  }

  return { node, draw, mark, step, forget: () => { shown = ""; } };
})();
