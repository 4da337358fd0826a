// What ties the page to the computer that it is shown on: its window, its place among the installed apps.

(() => {
  // A window of the program's own (launch.py --window) holds a connection: when the last one is gone, the program ends.
  async function stay() {
    try {
      const answer = await fetch("/window", { cache: "no-store" });
      const reader = answer.ok && answer.body.getReader();
      while (reader && !(await reader.read()).done);
    } catch (error) { /* the program is away for a moment */ }
    setTimeout(stay, 1000);
  }
  if (document.documentElement.dataset.window === "own") stay();

  // Keeps one page that says that the program is not running, and shows notices; see app/pages/installed.py.
  if ("serviceWorker" in navigator && window.isSecureContext && window.top === window) {
    navigator.serviceWorker.register("/service-worker.js").catch(() => {});
  }
})();
