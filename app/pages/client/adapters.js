// What was taught to the model: which adapter it draws with, how strongly, and erasing one. One list for two panels.

const adapters = (() => {
  const node = h("section.wn-adapters");
  let now = null;
  let shape = "";

  const button = (key, label, does, kind) => h("button." + (kind || "wn-second"), { type: "button", "data-key": key, onclick: does }, label);

  async function use(one, strength) {
    await act("adapter_use", { adapter: one.key, strength });
    await refresh();
  }

  async function erase(one) {
    if (!(await sure(T("teach.erase_sure"), T("teach.erase_text", { name: one.name }), T("teach.erase")))) return;
    await act("adapter_remove", { adapter: one.key });
    await refresh();
  }

  const shown = (strength) => (strength ? (Math.round(100 * strength) / 100).toFixed(2) : T("teach.off"));

  function row(one) {
    const id = "wn-strength-" + one.key.replace(/\W/g, "-");
    const value = h("output", { for: id }, shown(one.strength));
    const slider = h("input", { type: "range", id, min: 0, max: now.most, step: 0.05, value: one.strength, "data-key": "strength:" + one.key, disabled: !now.may || (!one.fits && !one.strength),
      oninput: () => { value.textContent = shown(Number(slider.value)); slider.setAttribute("aria-valuetext", value.textContent); },
      onchange: () => use(one, Number(slider.value)) });
    slider.value = one.strength; // after min and max
    slider.setAttribute("aria-valuetext", shown(one.strength));
    return h("li.wn-tier.wn-adapter", { "aria-current": one.strength && one.fits ? "true" : null },
      h("strong", {}, given(one.name)), h("p.wn-small", {}, one.from + (one.facts ? " · " + one.facts : "")),
      one.why ? h("p.wn-tier-verdict", {}, one.why) : null,
      h("div.wn-strength", {}, h("label", { for: id }, T("teach.strength_of")), slider, value),
      now.may ? h("div.wn-row", {},
        one.strength ? button("off:" + one.key, T("teach.turn_off"), () => use(one, 0)) : one.fits ? button("use:" + one.key, T("teach.use"), () => use(one, 1)) : null,
        button("erase:" + one.key, T("teach.erase"), () => erase(one), "wn-link")) : null);
  }

  function draw() {
    const key = JSON.stringify(now);
    if (key === shape) return;
    shape = key;
    const focused = node.contains(document.activeElement) ? document.activeElement.dataset.key : "";
    node.hidden = !now.adapters.length && !now.named;
    node.replaceChildren(h("h3", {}, T("teach.adapters")), h("p.wn-small", {}, T("teach.adapters_lead")),
      ...(now.named ? [h("p", {}, T("teach.named", { what: now.named }))] : []),
      h("ul.wn-tiers", {}, now.adapters.map(row)));
    const again = focused && [...node.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused);
    if (again) again.focus({ preventScroll: true });
  }

  async function refresh() {
    const answer = await ask("adapters");
    if (!answer) return;
    now = answer;
    draw();
  }

  return { node, refresh, use: (key, strength) => use({ key }, strength) };
})();
