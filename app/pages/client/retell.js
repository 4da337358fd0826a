// Telling the rest again: other words for a scene in the middle, then what follows it once more, on a branch of its own.

const retell = (() => {
  const text = h("p.wn-alone-text", { role: "status", "aria-live": "polite" });
  const show = h("button.wn-link", { type: "button", onclick: () => openScene(view.retelling.scene) }, T("wander.show"));
  const stop = h("button.wn-second", { type: "button", onclick: () => act("stop_chain", { group: view.retelling.group }) }, T("wander.stop"));
  const node = h("div.wn-alone.wn-retelling", { hidden: true }, h("span.wn-alone-mark", { "aria-hidden": "true" }), text, show, stop);
  player.node.prepend(node);

  function draw(now) {
    const going = now.retelling;
    node.hidden = !going;
    if (!going) return;
    if (text.textContent !== going.text) text.textContent = going.text;
    show.hidden = going.scene === now.here.scene;
  }
  watch(draw);

  // beside the question, for every scene but the first
  function offer(now, scene) {
    const at = scene ? now.path.indexOf(scene) : -1;
    if (at < 1 || now.retelling) return null;
    const rest = now.path.length - at;
    const box = h("textarea.wn-edit", { id: "wn-retell-rest", rows: 3, maxlength: 600, value: scene.words });
    const tell_ = () => {
      const told = box.value.trim();
      if (!told) {
        box.focus();
        return tell({ kind: "info", text: T("wander.no_words") });
      }
      player.stop();
      return act("retell_rest", { words: told, last: now.path[now.path.length - 1].id });
    };
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); tell_(); }
    });
    return h("details.wn-more.wn-retell", {}, h("summary", {}, T(rest > 1 ? "wander.retell" : "wander.retell_last")),
      h("div.wn-retell-body", {}, h("div.wn-field", {}, h("label", { for: "wn-retell-rest" }, T("wander.retell_words", { n: at + 1 })), box),
      h("p.wn-small", {}, T("wander.retell_hint", { n: rest })),
      h("button.wn-second", { type: "button", onclick: tell_ }, T("wander.retell_do"))));
  }
  words.extras.push(offer);

  // beside "Draw it", when the scenes after it are not drawn either
  function drawRest(now, scene) {
    const at = now.path.indexOf(scene);
    let bare = 0;
    while (now.path[at + 1 + bare] && !now.path[at + 1 + bare].clip) bare += 1;
    if (at < 0 || !bare) return null;
    const go = () => act("draw_rest", { words: words.parts().box.value.trim(), was: scene.words, last: now.path[at + bare].id });
    return h("button.wn-second", { type: "button", onclick: go }, T("wander.draw_rest", { n: bare }));
  }

  return { drawRest };
})();
