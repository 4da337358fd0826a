// Sharing on the Hub: what would be sent is made, every file and every text of it is shown, then it is sent. Only where
// the person sits at this computer; the server refuses it elsewhere.

const sharing = (() => {
  let parts = null;
  let now = null;
  let timer = null;

  const busy_ = () => now && now.state && (now.state.what === "making" || now.state.what === "sending");

  async function look_() {
    clearTimeout(timer);
    if (!drawer.shows("share")) return;
    const answer = await ask("share");
    if (!answer || !drawer.shows("share")) return;
    now = answer;
    draw();
    if (busy_()) timer = setTimeout(look_, 600);
  }

  function shown(state) {
    return [
      h("h3", {}, T("share.files")),
      h("ul.wn-share-files", {}, state.files.map((one) => h("li", {}, h("code", {}, one.name), " ", h("span.wn-small", {}, sizeText(one.bytes))))),
      h("h3", {}, T("share.words_title")),
      h("div.wn-share-words", { tabindex: 0, role: "region", "aria-label": T("share.words_title") },
        h("dl", {}, state.words.map((one) => [h("dt", {}, one.what), h("dd", {}, one.text + (one.times > 1 ? " (" + one.times + "×)" : ""))]).flat()),
        state.more ? h("p.wn-small", {}, T("share.more", { n: state.more })) : null),
      ...state.notes.map((text) => h("p", {}, text)),
    ];
  }

  async function send() {
    const name = parts.name.value.trim() || now.name;
    const open = parts.open.checked;
    const text = T(open ? "share.sure_public" : "share.sure_private", { size: sizeText(now.state.bytes), name });
    if (!(await sure(T("share.sure"), text, T("share.send")))) return;
    await act("share_send", { repo: name, public: open });
    look_();
  }

  function draw() {
    if (!parts) return;
    const state = now.state;
    const busy = busy_();
    parts.status.textContent = state ? [state.text, state.why].filter(Boolean).join(" ") : "";
    const link = state && state.what === "sent" ? h("a.wn-first", { href: state.url, target: "_blank", rel: "noopener" }, T("share.open")) : null;
    const key = JSON.stringify([state && state.what, state && state.form, state && state.bytes]);
    if (parts.shown.dataset.key !== key) {
      parts.shown.dataset.key = key;
      parts.shown.replaceChildren(...(state && state.files.length ? shown(state) : []), ...(link ? [link] : []));
    }
    parts.send.hidden = !(state && state.files.length && state.what !== "sent");
    for (const field of parts.all.querySelectorAll("button, select, input")) field.disabled = !!busy;
    parts.stop.hidden = !(state && state.what === "making");
    parts.stop.disabled = false;
  }

  async function fill(body) {
    now = await ask("share");
    if (!now || !drawer.shows("share")) return;
    const form = h("select", { onchange: () => { originals.hidden = form.value !== "pack"; } }, now.forms.map((name) => h("option", { value: name }, T("share.form_" + name))));
    if (now.state) form.value = now.state.form;
    const with_ = h("input", { type: "checkbox", checked: true });
    const originals = h("label.wn-row", { hidden: form.value !== "pack" }, with_, T("share.with_originals"));
    const name = h("input", { type: "text", value: now.name, maxlength: 200, spellcheck: "false" });
    const open = h("input", { type: "checkbox" });
    const look = async () => { await act("share_look", { form: form.value, originals: with_.checked }); look_(); };
    parts = {
      name,
      open,
      status: h("p", { role: "status" }),
      shown: h("div.wn-share-shown"),
      stop: h("button.wn-second", { type: "button", hidden: true, onclick: async () => { await act("share_forget"); look_(); } }, T("share.stop")),
      send: h("div.wn-share-send", { hidden: true },
        h("label.wn-cut-field", {}, h("span", {}, T("share.name")), name), h("p.wn-small", {}, T("share.name_hint")),
        h("label.wn-row", {}, open, T("share.public")),
        h("button.wn-first", { type: "button", onclick: send }, T("share.send"))),
    };
    parts.all = h("div.wn-share", {}, h("p", {}, T("share.lead")),
      h("label.wn-cut-field", {}, h("span", {}, T("share.form")), form), originals,
      h("div.wn-row", {}, h("button.wn-second", { type: "button", onclick: look }, T("share.look")), parts.stop),
      parts.status, parts.shown, parts.send);
    body.replaceChildren(parts.all);
    look_();
  }

  function open() {
    if (view.story && view.reel) drawer.open("share", T("share.title"), (body) => { fill(body); });
  }
  drawer.body().closest("dialog").addEventListener("close", () => {
    clearTimeout(timer);
    parts = null;
  });

  ICONS.share = "M12 15V4M8 8l4-4 4 4M5 13v6h14v-6";
  return { open };
})();
