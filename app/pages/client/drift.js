// The small card of each scene: how far its picture is from the anchor's, and the cures when that is too far.

const drift = (() => {
  const NAMES = ["colour", "contrast", "sharpness", "identity"];
  const measured = new Map(); // cards that were asked for: take -> card
  const asked = new Set();
  const many = (name, value) => T("drift.value_" + name, { n: value.toFixed(name === "colour" ? 1 : 2) });

  // The card of the take that is shown. An older take is measured when it is first looked at.
  function cardOf(take, one) {
    const kept = one.take && one.drift && (measured.get(take.id + one.drift.anchor) || one.drift);
    if (!kept) return null;
    const other = view && (view.path.find((scene) => scene.id === one.id) || {}).take;
    if ((kept.asks || (other && other.id !== take.id)) && !measured.has(take.id + one.drift.anchor)) {
      measure(take, one.drift.anchor);
      return null;
    }
    return kept.asks ? null : kept;
  }

  async function measure(take, anchor) {
    if (asked.has(take.id + anchor)) return;
    asked.add(take.id + anchor);
    const answer = await ask("drift", { take: take.id });
    if (!answer || !answer.drift || answer.drift.asks) return;
    measured.set(take.id + anchor, answer.drift);
    if (view.page === "room") player.draw(view, view);
  }

  function row(card, name) {
    const [least, most] = card.limits[name];
    const beyond = card.beyond.includes(name);
    const usual = least === null ? T("drift.up_to", { n: most }) : most === null ? T("drift.from", { n: least }) : T("drift.between", { least, most });
    return h("div.wn-drift-row", { "data-beyond": beyond ? "yes" : null },
      h("dt", {}, T("drift." + name), h("span.wn-small", {}, T("drift.means_" + name))),
      h("dd", {}, h("strong", {}, many(name, card.values[name])), h("span.wn-small", {}, usual)));
  }

  function tool(take, now, one) {
    const card = cardOf(take, one);
    if (!card) return null;
    const worn = card.beyond.length > 0;
    const own = take.id === ((now.path.find((scene) => scene.id === one.id) || {}).take || {}).id;
    const cure = (wish, text, means) => h("div.wn-cure", {}, h("button.wn-second", { type: "button", disabled: !!now.job, onclick: () => act(wish) }, text), h("p.wn-small", {}, means));
    const summary = h("summary.wn-quiet.wn-drift", { "data-tool": "drift", "data-state": worn ? "worn" : "steady", title: T("drift.title_all", { n: card.number }) }, h("i.wn-drift-dot", { "aria-hidden": "true" }), h("span", {}, T(worn ? "drift.worn" : "drift.steady")));
    return popover(summary, h("div.wn-drift-card", {},
      h("p", {}, h("strong", {}, T(worn ? "drift.head_worn" : "drift.head_steady", { n: card.number })), " ", T(card.named ? "drift.named" : "drift.first", { n: card.number })),
      h("dl", {}, NAMES.map((name) => row(card, name))),
      worn && own ? h("div.wn-cures", {}, h("p", {}, T("drift.cures")), cure("reanchor", T("drift.reanchor", { n: card.number }), T("drift.reanchor_means")), cure("cut", T("drift.cut"), T("drift.cut_means"))) : null));
  }
  addTakeTool({ order: 30, key: (now, one) => JSON.stringify([one && one.take && measured.get(one.take.id + (one.drift || {}).anchor), !!now.job, one && one.drift]), node: tool });

  // Beside the words that are about to be drawn, when the picture they would go on from has drifted.
  function option(now, cut) {
    const one = now.path.find((scene) => scene.id === now.here.scene);
    const card = one && one.take ? cardOf(one.take, one) : null;
    if (!card || !card.beyond.length) return null;
    const box = h("input", { type: "checkbox", id: "wn-anchor", onchange: () => { if (box.checked) cut.checked = true; } });
    cut.addEventListener("change", () => { if (!cut.checked) box.checked = false; });
    return h("div.wn-check", {}, box, h("label", { for: "wn-anchor" }, T("drift.next", { n: card.number }) + " ", h("span.wn-small", {}, T("drift.next_means"))));
  }
  const wanted = () => { const box = root.querySelector("#wn-anchor"); return !!(box && box.checked); };

  return { option, wanted };
})();
