// Going on by itself: the offer beside the question, the line above the picture while it lasts, and the eyes that follow
// it from scene to scene as long as the person has not gone elsewhere.

const alone = (() => {
  const text = h("p.wn-alone-text", { role: "status", "aria-live": "polite" });
  const show = h("button.wn-link", { type: "button", onclick: () => openScene(view.alone.at) }, T("alone.show"));
  const stop = h("button.wn-second.wn-alone-stop", { type: "button", onclick: () => act("alone_stop", { chain: view.alone.chain }) }, T("alone.stop"));
  const again = h("button.wn-second", { type: "button", onclick: () => begin(view.alone.left, "") }, T("alone.again", { n: 1 }));
  const node = h("div.wn-alone", { hidden: true }, h("span.wn-alone-mark", { "aria-hidden": "true" }), text, show, stop, again);
  player.node.prepend(node);

  let following = null; // the chain whose newest scene was the one looked at
  let at = null; // that scene

  function begin(scenes, steer) {
    player.stop();
    return act("alone", { scenes, steer });
  }

  function draw(now) {
    const chain = now.alone;
    node.hidden = !(chain && (chain.open || chain.failed));
    if (!chain) {
      following = null;
      return;
    }
    const here_ = now.here.scene === chain.at;
    if (!node.hidden) {
      node.dataset.state = chain.open ? "open" : "failed";
      if (text.textContent !== chain.text) text.textContent = chain.text;
      show.hidden = here_ || !chain.open;
      stop.hidden = !chain.open;
      stop.disabled = !!chain.stopping;
      again.hidden = !chain.failed || !here_ || !!now.job;
      again.textContent = T("alone.again", { n: chain.left });
    }
    if (here_ && chain.open) [following, at] = [chain.chain, chain.at];
    else if (!here_ && following === chain.chain && now.here.scene === at) {
      if (!root.classList.contains("wn-playing") && !busy) {
        setTimeout(() => { if (view === now && !busy && !flying) look({ story: now.here.story, scene: chain.at }); });
      }
    } else if (!here_) following = null;
  }

  // beside the big button
  function offer(now, scene) {
    if (!scene || !scene.clip || (now.alone && now.alone.open)) return null;
    const many = h("input.wn-alone-many", { type: "number", id: "wn-alone-many", min: 1, max: 20, step: 1, value: "3", inputmode: "numeric", "aria-label": T("alone.how_many") });
    const go = () => {
      const scenes = Number(many.value);
      if (!Number.isInteger(scenes) || scenes < 1 || scenes > 20) {
        many.focus();
        return tell({ kind: "info", text: T("alone.range") });
      }
      const steer = words.parts().steer;
      begin(scenes, steer ? steer.value.trim() : "");
    };
    many.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); event.stopPropagation(); go(); }
    });
    return h("div.wn-alone-offer", {},
      h("button.wn-second", { type: "button", onclick: go }, T("alone.begin")),
      h("label", { for: "wn-alone-many" }, T("alone.for"), " ", many, " ", T("alone.scenes")));
  }
  words.extras.push(offer);

  return { draw };
})();
