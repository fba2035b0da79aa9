// Only in `kiln docs serve`: asks whether the site was made anew, and then loads the page again where it stands.
(() => {
  "use strict";
  const root = document.documentElement.dataset.root || "";
  const now = document.documentElement.dataset.live;
  const ask = async () => {
    try {
      const answer = await fetch(`${root}version`, { cache: "no-store" });
      if (answer.ok && (await answer.text()).trim() !== now) {
        location.reload();
        return;
      }
    } catch {
      // The server is gone: it may come back.
    }
    setTimeout(ask, 1000);
  };
  setTimeout(ask, 1000);
})();
