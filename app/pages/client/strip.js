// The strip of scenes: the path that is shown, with the other ways it could have gone one press away.

const strip = (() => {
  const list = h("ol.wn-cards");
  const node = h("nav.wn-strip", { "aria-label": T("strip.scenes") }, list);
  let shown = "";

  function card(one, at, now) {
    const here_ = one.id === now.here.scene;
    const button = h("button.wn-card", { type: "button", "data-scene": one.id, "aria-current": here_ ? "true" : null, onclick: () => openScene(one.id) },
      one.thumb ? h("img", { src: media(one.thumb), alt: "" }) : h("span.wn-blank", {}),
      h("span.wn-number", {}, String(at + 1)),
      h("span.wn-card-words", {}, one.words || (one.seen ? one.seen : "…")));
    button.setAttribute("aria-label", T("strip.scene", { n: at + 1, words: one.words || T("strip.no_words") }));
    button.classList.toggle("wn-pending", one.drawing);
    const item = h("li", {}, button);
    if (one.ways.length > 1) {
      const index = one.ways.indexOf(one.id);
      const go = (step) => openScene(one.ways[(index + step + one.ways.length) % one.ways.length]);
      item.append(h("div.wn-ways-switch", { role: "group", "aria-label": T("strip.ways", { n: at + 1 }) },
        h("button.wn-mini", { type: "button", "aria-label": T("strip.way_before"), onclick: () => go(-1) }, icon("back")),
        h("span", {}, T("strip.way", { at: index + 1, of: one.ways.length })),
        h("button.wn-mini", { type: "button", "aria-label": T("strip.way_after"), onclick: () => go(1) }, icon("forth"))));
    }
    return item;
  }

  function draw(now) {
    node.hidden = !now.path.length;
    const key = JSON.stringify([now.path, now.here.scene]);
    if (key !== shown) {
      shown = key;
      const items = now.path.map((one, at) => card(one, at, now));
      const focused = document.activeElement && list.contains(document.activeElement) && document.activeElement.dataset.scene;
      list.replaceChildren(...items);
      const current = list.querySelector("[aria-current]");
      if (current) {
        const box = current.getBoundingClientRect();
        const outer = list.getBoundingClientRect();
        list.scrollLeft += box.left + box.width / 2 - (outer.left + outer.width / 2);
        if (focused) current.focus();
      }
    }
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
