// Where a password was asked for, there is a way out: a form, so that it works like any other one. Where people have
// accounts, a guest is offered the way in, in a tab of its own when the page stands in somebody else's frame.

addTool({
  order: 95,
  key: (now) => JSON.stringify([Boolean(now.guarded), now.account]),
  node: (now) => {
    if (!now.guarded) return null;
    const who = now.account;
    if (who && who.login) {
      const framed = window.top !== window.self;
      return h("a.wn-quiet.wn-login", { href: who.login, title: who.tells.join(" "), ...(framed ? { target: "_blank", rel: "noopener" } : {}) }, T("safety.login"));
    }
    if (who && !who.name) return null;
    const label = who ? T("safety.leave_as", { name: who.name }) : T("safety.leave");
    return h("form.wn-leave", { method: "post", action: "/logout" }, h("button.wn-quiet", { type: "submit" }, label));
  },
});
