// What this computer has, which model runs on it, what a bigger one would need; and getting one.

const machine = (() => {
  const fact = (name, ...value) => h("div.wn-fact", {}, h("dt", {}, name), h("dd", {}, ...value));
  const size = (value) => T("machine.gb", { n: value });
  let body = null;
  let shape = ""; // all of the last answer but what changes by itself
  let timer = null;

  function figure(name, one, unit) {
    return one ? fact(name, unit(one.value), " ", h("span.wn-small", {}, one.how)) : fact(name, T("machine.unknown"));
  }

  async function wish(what, details) {
    await act(what, details);
    await refresh();
    const coming = what === "models_get" && body.querySelector(".wn-fetch");
    if (coming) coming.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
  }

  const button = (key, label, does, kind) => h("button." + (kind || "wn-second"), { type: "button", "data-key": key, onclick: does }, label);

  function tierCard(one, now) {
    const busyWith = now.fetch && now.fetch.running;
    const comes = busyWith && now.fetch.wants.includes(one.name);
    return h("li.wn-tier", { "data-fits": one.fits ? "yes" : "no", "aria-current": one.current ? "true" : null },
      h("strong", {}, one.title), h("p.wn-tier-verdict", {}, comes ? T("machine.coming") : one.verdict),
      h("dl", {}, fact(T("machine.reads"), given(one.reader)), fact(T("machine.draws"), given(one.drawer + ", " + one.scene)),
        one.mode ? fact(T("machine.works"), one.mode) : null,
        figure(T("machine.memory"), one.memory, size), figure(T("machine.disk"), one.disk, size),
        figure(T("machine.scene_takes"), one.seconds, (value) => T("machine.seconds", { n: value }))),
      one.use || (one.get && !busyWith) ? h("div.wn-row", {},
        one.use ? button("use:" + one.name, T("models.use"), () => wish("tier_use", { tier: one.name })) : null,
        one.get && !busyWith ? button("get:" + one.name, one.get, () => wish("models_get", { name: one.name })) : null) : null);
  }

  function weights(one) {
    const remove = button("remove:" + one.name, T("models.remove"), () => {
      if (remove.dataset.sure) return wish("models_remove", { name: one.name });
      remove.dataset.sure = "yes"; // a second press means it
      remove.textContent = T("models.remove_sure", { size: one.remove });
    }, "wn-link");
    return h("li.wn-tier", {}, h("strong", {}, given(one.name)), h("dl", {},
      fact(T("machine.state"), one.text), fact(T("models.of"), one.tiers),
      one.commit ? fact(T("models.version"), h("code", {}, given(one.commit))) : null,
      one.four_bits ? fact(T("models.precision"), one.four_bits) : null),
    one.remove ? h("div.wn-row", {}, remove) : null);
  }

  function download(fetch) {
    if (!fetch) return null;
    const bar = h("div.wn-bar", { role: "progressbar", "aria-label": fetch.names, "aria-valuemin": 0, "aria-valuemax": 100 }, h("span.wn-bar-fill"));
    return h("div.wn-fetch", {}, given(fetch.names), fetch.running ? bar : null,
      h("p.wn-small.wn-fetch-text", { role: fetch.running ? null : "status" }),
      fetch.why ? h("p", {}, given(fetch.why)) : null,
      h("div.wn-row", {},
        fetch.running && fetch.may ? button("stop", T("models.stop"), () => wish("models_stop")) : null,
        fetch.again ? button("again", T("models.again"), () => wish("models_get", { name: fetch.again })) : null));
  }

  function step(fetch) {
    const text = body.querySelector(".wn-fetch-text");
    if (!fetch || !text) return;
    text.textContent = fetch.text;
    const bar = body.querySelector(".wn-fetch .wn-bar");
    if (!bar) return;
    bar.setAttribute("aria-valuenow", Math.round(100 * fetch.share));
    bar.firstChild.style.width = Math.round(100 * Math.max(0.02, fetch.share)) + "%";
  }

  function draw(now) {
    const lasting = JSON.stringify({ ...now, devices: null, disk_free: null, fetch: now.fetch && { ...now.fetch, text: "", share: 0 }, weights: now.weights.map((one) => (now.fetch && now.fetch.running ? one.name : one)), tiers: now.tiers.map((one) => ({ ...one, get: Boolean(one.get) })) });
    if (lasting !== shape) {
      shape = lasting;
      const focused = body.contains(document.activeElement) ? document.activeElement.dataset.key || "" : "";
      fill(now);
      const again = [...body.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused) || (focused ? body.querySelector("button") : null);
      if (again) again.focus({ preventScroll: true });
    }
    step(now.fetch);
    clearTimeout(timer);
    if (now.fetch && now.fetch.running) timer = setTimeout(refresh, 1000);
  }

  function fill(now) {
    const model = now.model;
    const parts = [
      h("section", {}, h("h3", {}, T("machine.here")), h("dl", {},
        ...now.devices.map((one) => fact(T("machine.kind_" + one.kind), given(one.name + ", "), T("machine.of", { free: one.free, memory: one.memory }))),
        fact(T("machine.system"), given(now.system + ", "), T("machine.cores", { n: now.cores })),
        fact(T("machine.disk_free"), size(now.disk_free)))),
      h("section", {}, h("h3", {}, T("machine.model")), h("dl", {},
        fact(T("machine.name"), given(model.name)), fact(T("machine.folder"), h("code", {}, model.folder)),
        fact(T("machine.state"), model.loaded ? T("machine.loaded") : T("machine.not_loaded")),
        model.mode ? fact(T("machine.works"), model.mode) : null,
        model.memory ? fact(T("machine.memory"), size(model.memory), " ", h("span.wn-small", {}, T("machine.now"))) : null,
        model.fingerprint ? fact(T("machine.fingerprint"), h("code", {}, model.fingerprint)) : null,
        fact(T("machine.runs_on"), given(model.device))),
      now.choice === "auto" ? h("p.wn-small", {}, T("models.auto_now")) : null,
      now.choice === "named" ? h("p.wn-small", {}, T("models.named_now")) : null,
      now.may_auto ? h("div.wn-row", {}, button("auto", T("models.auto"), () => wish("tier_use", { tier: "auto" }))) : null),
      now.weights.length || now.fetch ? h("section", {}, h("h3", {}, T("models.weights")), download(now.fetch),
        h("ul.wn-tiers", {}, now.weights.map(weights))) : null,
      h("section", {}, h("h3", {}, T("machine.bigger")), h("p.wn-small", {}, now.honest),
        h("ul.wn-tiers", {}, now.tiers.map((one) => tierCard(one, now)))),
    ];
    parts.splice(2, 0, adapters.node);
    body.replaceChildren(...parts.filter(Boolean));
  }

  async function refresh() {
    clearTimeout(timer);
    if (!drawer.shows("machine")) return;
    const now = await ask("machine");
    if (now && drawer.shows("machine")) draw(now);
  }

  async function open() {
    const now = await ask("machine");
    if (!now) return;
    drawer.open("machine", T("machine.title"), (into) => { body = into; shape = ""; draw(now); adapters.refresh(); });
  }

  addTool({ order: 80, node: (now) => now.page === "home" ? h("button.wn-quiet", { type: "button", onclick: open }, icon("machine"), h("span", {}, T("machine.title"))) : null });
  return { open };
})();
