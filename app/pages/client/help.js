// Help and the few things that belong to this browser: day or night, notices, and what the keys do.

(() => {
  const LOOK = "wn:look"; // read again by the script in the head, which sets the colours
  const SHOWN = { " ": "help.key_space", Enter: "help.key_enter", Escape: "help.key_escape", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
  const shownKey = (key) => (!SHOWN[key] ? key.toUpperCase() : SHOWN[key].startsWith("help.") ? T(SHOWN[key]) : SHOWN[key]);

  function chosenLook() {
    try { return localStorage.getItem(LOOK) || "auto"; } catch (error) { return "auto"; }
  }
  function choose(look) {
    try {
      if (look === "auto") localStorage.removeItem(LOOK);
      else localStorage.setItem(LOOK, look);
    } catch (error) { /* a private window: the system's choice stays */ }
    window.dispatchEvent(new Event("wn-look"));
  }

  function lookSwitch() {
    const looks = [["auto", "help.look_auto"], ["light", "help.look_light"], ["dark", "help.look_dark"]];
    return h("fieldset.wn-segments", {}, h("legend", {}, T("help.look")),
      looks.map(([look, says]) => {
        const pick = h("input", { type: "radio", name: "wn-look", id: "wn-look-" + look, value: look, onchange: () => choose(look) });
        pick.checked = chosenLook() === look;
        return h("span", {}, pick, h("label", { for: "wn-look-" + look }, T(says)));
      }));
  }

  function noticeSwitch() {
    const box = h("div.wn-notices");
    const NOW = { never: "help.notices_never", denied: "help.notices_denied", on: "help.notices_on", off: "help.notices_off" };
    const draw = (state) => {
      const can = state === "on" || state === "off";
      const hadFocus = box.contains(document.activeElement);
      const button = can && h("button.wn-second", { type: "button", onclick: async () => draw(await notices.turn(state === "off")) }, T(state === "on" ? "help.notices_stop" : "help.notices_start"));
      box.replaceChildren(h("p.wn-small", { role: "status" }, T(NOW[state])), ...(button ? [button] : []));
      if (hadFocus && button) button.focus();
    };
    draw(notices.state());
    return h("section", {}, h("h3", {}, T("help.notices")), box);
  }

  function keyList() {
    const rows = new Map(); // several keys may do the same
    for (const [key, one] of keys) rows.set(one.says, [...(rows.get(one.says) || []), key]);
    rows.set("help.cancel", ["Escape"]);
    return h("section", {}, h("h3", {}, T("help.keys")), h("p.wn-small", {}, T("help.keys_where")),
      h("dl.wn-keys", {}, [...rows].map(([says, all]) => h("div", {}, h("dt", {}, all.map((key) => h("kbd", {}, shownKey(key)))), h("dd", {}, T(says))))));
  }

  function open() {
    drawer.open("help", T("help.title"), (body) => body.append(
      h("section", {}, h("h3", {}, T("help.how")), h("p", {}, T("help.how_text"))),
      h("section", {}, lookSwitch()), noticeSwitch(), noted.section(), keyList()));
  }

  addKey("?", "keys.help", open, () => true);
  addTool({ order: 90, node: () => h("button.wn-quiet.wn-help", { type: "button", "aria-label": T("help.title"), title: T("help.title"), onclick: open }, icon("help")) });
})();
