// The things of a story that were thrown away, and erasing for good, which asks first and says what goes.

// A question with two answers. Resolves to true when the person is sure; Escape and a press beside it mean no.
function sure(heading, text, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const keep = h("button.wn-second", { type: "button", onclick: () => node.close() }, T("wander.keep"));
    const go = h("button.wn-first.wn-danger", { type: "button", onclick: () => { answer = true; node.close(); } }, yes);
    const node = h("dialog.wn-sure", { role: "alertdialog", "aria-labelledby": "wn-sure-title", "aria-describedby": "wn-sure-text" },
      h("h2", { id: "wn-sure-title" }, heading), h("p", { id: "wn-sure-text" }, text), h("div.wn-row", {}, keep, go));
    node.addEventListener("keydown", (event) => event.stopPropagation());
    node.addEventListener("click", (event) => { if (event.target === node) node.close(); });
    node.addEventListener("close", () => { node.remove(); resolve(answer); });
    root.append(node);
    node.showModal();
    keep.focus();
  });
}

const thrown = (() => {
  // kind: story, scene or take; `details` say which, and where the story is when it is not the one that is open.
  async function erase(kind, details) {
    const goes = await ask("what_goes", { kind, ...details });
    if (!goes || !(await sure(T("wander.sure"), goes.text, T("wander.erase")))) return null;
    player.stop();
    return act("erase_" + kind, details);
  }

  function entry(name, one, below, back, kind) {
    const refill = async (answer) => { if (answer && drawer.shows("thrown")) await fill(drawer.body()); };
    return h("li.wn-thrown", {},
      one.thumb ? h("img", { src: media(one.thumb), alt: "", loading: "lazy" }) : h("span.wn-blank", {}),
      h("div.wn-thrown-text", {}, h("strong", {}, name), h("p", {}, one.words || T("strip.no_words")), below ? h("p.wn-small", {}, below) : null,
        h("div.wn-row", {},
          h("button.wn-second", { type: "button", "aria-label": T("wander.bring_back_of", { what: name }), onclick: back }, T("wander.bring_back")),
          h("button.wn-link.wn-erase", { type: "button", "aria-label": T("wander.erase_of", { what: name }), onclick: async () => refill(await erase(kind, { which: one.id })) }, T("wander.erase")))));
  }

  async function fill(body) {
    const found = await ask("thrown_away");
    if (!found) return;
    const back = (what, details) => async () => { if (await act(what, details)) drawer.shut(); };
    const scenes = found.scenes.map((one) => entry(T("wander.trash_scene", { number: one.number }), one,
      one.scenes > 1 ? T("wander.with_more", { n: one.scenes - 1 }) : "", back("restore_scene", { which: one.id }), "scene"));
    const takes_ = found.takes.map((one) => entry(T("wander.trash_take", { number: one.number, take: one.take }), one, "",
      back("restore_take", { take: one.id, scene: one.scene }), "take"));
    body.replaceChildren();
    if (!scenes.length && !takes_.length) body.append(h("p.wn-soft", {}, T("wander.trash_empty")));
    if (scenes.length) body.append(h("h3", {}, T("wander.trash_scenes")), h("ul.wn-thrown-list", {}, scenes));
    if (takes_.length) body.append(h("h3", {}, T("wander.trash_takes")), h("ul.wn-thrown-list", {}, takes_));
    body.append(h("button.wn-link.wn-erase.wn-erase-whole", { type: "button", onclick: async () => { if (await erase("story", {})) drawer.shut(); } }, T("wander.erase_whole")));
  }

  function open() {
    if (view.story) drawer.open("thrown", T("wander.trash_open"), (body) => { fill(body); });
  }

  return { open, erase };
})();
