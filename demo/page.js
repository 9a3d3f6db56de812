/* What the page does by itself: one tab stop a grid, and an address that says what is shown. */
(() => {
  const STEPS = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    Home: [0, -Infinity], End: [0, Infinity],
  };
  const clamp = (value, most) => Math.min(Math.max(value, 0), most);

  document.addEventListener('keydown', (event) => {
    const from = event.target.closest?.('.q-matrix button');
    const step = STEPS[event.key];
    if (!from || !step || event.altKey || event.metaKey) return;
    const rows = [...from.closest('tbody').rows].map((row) => [...row.querySelectorAll('button')]);
    const row = rows.findIndex((cells) => cells.includes(from));
    const column = rows[row].indexOf(from);
    const edge = event.ctrlKey && Number.isFinite(step[1]) === false ? step[1] : 0;
    const to = rows[clamp(row + step[0] + edge, rows.length - 1)];
    const next = to[clamp(column + step[1], to.length - 1)];
    event.preventDefault();
    from.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  /* A map: a click takes the place under it, the arrow keys move the cross; the place is the choice. */
  const MAP_STEP = 2;
  const pick = (map, x, y) => {
    const place = [x, y].map((one) => clamp(Math.round(one), 100));
    map.dataset.choice = [map.dataset.choice.split(',')[0], ...place].join(',');
    map.querySelector('.q-cross').setAttribute('transform', `translate(${place.join(' ')})`);
  };
  document.addEventListener('click', (event) => {
    const map = event.target.closest?.('.q-map');
    if (!map || event.detail === 0) return;
    const box = map.querySelector('svg').getBoundingClientRect();
    pick(map, 100 * (event.clientX - box.left) / box.width, 100 * (event.clientY - box.top) / box.height);
  }, { capture: true });
  document.addEventListener('keydown', (event) => {
    const map = event.target.closest?.('.q-map');
    const step = STEPS[event.key];
    if (!map || !step || event.altKey || event.metaKey || event.ctrlKey) return;
    const [, x, y] = map.dataset.choice.split(',').map(Number);
    event.preventDefault();
    pick(map, x + MAP_STEP * step[1], y + MAP_STEP * step[0]);
  });

  /* What Gradio leaves out: an empty plot has a name but no role, and code that scrolls sideways
     cannot be scrolled by keyboard. */
  const mend = () => {
    for (const plot of document.querySelectorAll('.empty[aria-label]:not([role])')) {
      plot.setAttribute('role', 'img');
    }
    for (const code of document.querySelectorAll('pre:not([tabindex])')) code.tabIndex = 0;
  };
  let mending = 0;
  new MutationObserver(() => {
    mending ||= requestAnimationFrame(() => { mending = 0; mend(); });
  }).observe(document.documentElement, { childList: true, subtree: true });

  /* A link: the tab on screen, and what that tab says of itself. Gradio's own parameters begin with
     two underscores, and stay. */
  const isOurs = ([name]) => !name.startsWith('__');
  const given = Object.fromEntries([...new URLSearchParams(location.search)].filter(isOurs));
  const named = (link) => link.tab ?? (link.lesson ? 'lessons' : link.job ? 'fine-tune' : 'compare');
  let tab = named(given);
  const links = { [tab]: given };
  /* Gradio opens the first tab before a link's own: until that comes, or the visitor does something,
     the address stays as it was given. */
  let awaited = tab;
  for (const kind of ['pointerdown', 'keydown']) {
    document.addEventListener(kind, () => { awaited = null; }, { capture: true });
  }

  const write = () => {
    const theirs = [...new URLSearchParams(location.search)].filter((one) => !isOurs(one));
    const link = { ...(tab === 'compare' ? {} : { tab }), ...links[tab] };
    const query = new URLSearchParams([...Object.entries(link), ...theirs]).toString();
    history.replaceState(history.state, '', query ? `?${query}` : location.pathname);
    /* A Space shows the app in a frame, and keeps the address of its own page alike. */
    if (window.parent !== window) {
      window.parent.postMessage({ queryString: query }, 'https://huggingface.co');
    }
  };

  window.quartet = {
    hold(name, link) {
      links[name] = link ?? {};
      if (name === tab) write();
    },
    open(name) {
      if (awaited !== null && name !== awaited) return;
      awaited = null;
      tab = name;
      write();
    },
  };
})();
