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
    next.focus();
  });
  /* However a cell was reached, by arrows or by a click, it is its grid's only stop. */
  const stopAt = (cell) => {
    for (const stop of cell.closest('tbody').querySelectorAll('[tabindex="0"]')) stop.tabIndex = -1;
    cell.tabIndex = 0;
  };
  document.addEventListener('focusin', (event) => {
    const cell = event.target.closest?.('.q-matrix button');
    if (cell) stopAt(cell);
  });
  /* A cell's name is sent once, and is its tooltip too. */
  document.addEventListener('pointerover', (event) => {
    const cell = event.target.closest?.('.q-matrix button:not([title])');
    if (cell) cell.title = cell.getAttribute('aria-label');
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

  /* In the frame of a foreign page a browser may deny storage, at which Gradio's page would stop:
     there, what it keeps lasts as long as the page, and the page says so. */
  const isDenied = () => {
    try { return !window.localStorage; } catch { return true; }
  };
  if (isDenied()) {
    const kept = new Map();
    const value = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, text) => { kept.set(key, String(text)); },
      removeItem: (key) => { kept.delete(key); },
    };
    Object.defineProperty(window, 'localStorage', { value });
    document.documentElement.classList.add('q-unkept');
  }

  /* What Gradio leaves out: an empty plot has a name but no role, and code that scrolls sideways
     cannot be scrolled by keyboard. */
  const mend = () => {
    for (const plot of document.querySelectorAll('.empty[aria-label]:not([role])')) {
      plot.setAttribute('role', 'img');
    }
    for (const code of document.querySelectorAll('pre:not([tabindex])')) code.tabIndex = 0;
  };
  /* Explanations come after the answers: they are laid into the cards of the same picture, and what
     belongs to another is not seen. Gradio changes what differs in place, so what was laid there is
     gone when cards of another picture come. */
  const explain = () => {
    const mark = document.querySelector('#cards [data-picture]')?.dataset.picture;
    for (const part of document.querySelectorAll('[data-of]')) {
      part.classList.toggle('q-stale', part.dataset.of !== mark);
    }
    const reasons = document.querySelector('#reasons [data-of]:not(.q-stale)');
    if (!reasons) return;
    const { of, asked } = reasons.dataset;
    for (const room of document.querySelectorAll('#cards [data-model]')) {
      const part = reasons.querySelector(`[data-part="${room.dataset.model}"]`);
      if (!part || room.dataset.holds === `${of} ${asked}`) continue;
      room.replaceChildren(...part.cloneNode(true).childNodes);
      room.dataset.holds = `${of} ${asked}`;
    }
  };
  document.addEventListener('click', (event) => {
    const dialog = document.querySelector('.q-enlarged');
    if (event.target === dialog) dialog.close();
    if (!event.target.closest('[data-enlarge]')) return;
    dialog.querySelector('.q-large').replaceChildren(
      ...[...document.querySelectorAll('#cards article')].map((card) => {
        const [image, said] = ['.q-heat img', '.q-heat + figcaption'].map((one) => card.querySelector(one).cloneNode(true));
        const name = document.createElement('b');
        name.textContent = card.getAttribute('aria-label');
        const figure = document.createElement('figure');
        said.prepend(name, document.createElement('br'));
        figure.append(image, said);
        return figure;
      }),
    );
    dialog.showModal();
  });

  /* A slider whose places were all drawn: the one it is at is seen. */
  const slide = (slider) => {
    const all = slider.closest('.q-mind');
    all.style.setProperty('--step', slider.value);
    for (const step of all.querySelectorAll('[data-step]')) {
      step.classList.toggle('q-off', step.dataset.step !== slider.value);
    }
    slider.setAttribute('aria-valuetext', all.querySelector('.q-step:not(.q-off)').dataset.said);
  };
  document.addEventListener('input', (event) => {
    if (event.target.matches('.q-mind input')) slide(event.target);
  });

  /* A Space shows the app in a frame, where browsers keep no sign-in. */
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('.q-signin');
    if (link && window.parent !== window) link.target = '_blank';
  }, { capture: true });

  let mending = 0;
  new MutationObserver(() => {
    mending ||= requestAnimationFrame(() => {
      mending = 0;
      mend();
      explain();
      document.querySelectorAll('.q-mind input').forEach(slide);
    });
  }).observe(document.documentElement, {
    attributeFilter: ['data-picture', 'data-of', 'data-asked'], childList: true, subtree: true,
  });

  /* A link: the tab on screen, and what that tab says of itself. Gradio's own parameters begin with
     two underscores, and stay. */
  const isOurs = ([name]) => !name.startsWith('__');
  const given = Object.fromEntries([...new URLSearchParams(location.search)].filter(isOurs));
  const named = (link) => link.tab ?? (link.lesson ? 'lessons' : link.job ? 'fine-tune' : 'compare');
  let tab = named(given);
  const links = { [tab]: given };
  const parts = {};
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
    /* Marks the chosen cell of matrices: an element's id to a choice, or to null for none. */
    press(cells) {
      for (const [id, choice] of Object.entries(cells)) {
        const grid = document.querySelector(`#${id} .q-matrix`);
        for (const cell of grid?.querySelectorAll('button') ?? []) {
          const pressed = cell.dataset.choice === choice;
          cell.setAttribute('aria-pressed', pressed);
          if (pressed && !grid.contains(document.activeElement)) stopAt(cell);
        }
      }
    },
    hold(name, link) {
      links[name] = link ?? {};
      if (name === tab) write();
    },
    /* A tab, or the part of one, which that shows whenever it is opened again. */
    open(name, whole) {
      if (awaited !== null && name !== awaited) return;
      awaited = null;
      if (whole) parts[whole] = name;
      tab = whole ? name : parts[name] ?? name;
      write();
    },
  };
})();
