// Plotly: in the page itself, or, in a notebook, handed over by the page around this frame.

const ASK_AGAIN = 200, PATIENCE = 4000; // milliseconds

/** Wait for plotly; `late` is told whether nobody has had it for a while. */
function plotly(late) {
  if (window.Plotly) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const ask = () => window.parent.postMessage(LIBRARY, "*");
    const asking = setInterval(ask, ASK_AGAIN), waiting = setTimeout(late, PATIENCE, true);
    const take = (event) => {
      if (event.source !== window.parent || !event.data || event.data.name !== LIBRARY) return;
      window.removeEventListener("message", take);
      clearInterval(asking);
      clearTimeout(waiting);
      late(false);
      unpacked(event.data.gzip).then((source) => {
        // The page's policy lets nothing else run than the plotly it was made with.
        document.head.append(Object.assign(document.createElement("script"), { textContent: source }));
        if (!window.Plotly) throw new Error("the notebook has another version of plotly; run its first explorer again");
      }).then(resolve, reject);
    };
    window.addEventListener("message", take);
    ask();
  });
}

function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}
