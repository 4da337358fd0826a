// What this computer has, which model runs on it, and what a bigger one would need.

const machine = (() => {
  const fact = (name, ...value) => h("div.wn-fact", {}, h("dt", {}, name), h("dd", {}, ...value));
  const size = (value) => T("machine.gb", { n: value });

  function figure(name, one, unit) {
    return one ? fact(name, unit(one.value), " ", h("span.wn-small", {}, one.how)) : fact(name, T("machine.unknown"));
  }

  function tierCard(one) {
    return h("li.wn-tier", { "data-fits": one.fits ? "yes" : "no", "aria-current": one.current ? "true" : null },
      h("strong", {}, one.title), h("p.wn-tier-verdict", {}, one.verdict),
      h("dl", {}, fact(T("machine.reads"), given(one.reader)), fact(T("machine.draws"), given(one.drawer + ", " + one.scene)),
        figure(T("machine.memory"), one.memory, size), figure(T("machine.disk"), one.disk, size),
        figure(T("machine.scene_takes"), one.seconds, (value) => T("machine.seconds", { n: value }))));
  }

  function fill(body, now) {
    const model = now.model;
    body.replaceChildren(
      h("section", {}, h("h3", {}, T("machine.here")), h("dl", {},
        ...now.devices.map((one) => fact(T("machine.kind_" + one.kind), given(one.name + ", "), T("machine.of", { free: one.free, memory: one.memory }))),
        fact(T("machine.system"), given(now.system + ", "), T("machine.cores", { n: now.cores })),
        fact(T("machine.disk_free"), size(now.disk_free)))),
      h("section", {}, h("h3", {}, T("machine.model")), h("dl", {},
        fact(T("machine.name"), given(model.name)), fact(T("machine.folder"), h("code", {}, model.folder)),
        fact(T("machine.state"), model.loaded ? T("machine.loaded") : T("machine.not_loaded")),
        model.memory ? fact(T("machine.memory"), size(model.memory), " ", h("span.wn-small", {}, T("machine.now"))) : null,
        model.fingerprint ? fact(T("machine.fingerprint"), h("code", {}, model.fingerprint)) : null,
        fact(T("machine.runs_on"), given(model.device)))),
      h("section", {}, h("h3", {}, T("machine.bigger")), h("p.wn-small", {}, T("machine.honest")),
        h("ul.wn-tiers", {}, now.tiers.map(tierCard))));
  }

  async function open() {
    const now = await ask("machine");
    if (now) drawer.open("machine", T("machine.title"), (body) => fill(body, now));
  }

  addTool({ order: 80, node: (now) => now.page === "home" ? h("button.wn-quiet", { type: "button", onclick: open }, icon("machine"), h("span", {}, T("machine.title"))) : null });
  return { open };
})();
