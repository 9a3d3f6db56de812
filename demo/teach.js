/* The screen "Teach it": files put into buckets, and a camera that fills them or is answered live.
   What is sent goes the way of every upload; the server is told only where it lies. */
(() => {
  const SIDE_PX = 192;      /* of a picture taken: more than the models see */
  const BURST_MS = 250;     /* between two pictures of a burst */
  const LIVE_MS = 1000;     /* between two that are answered: a class behind one address stays below its limit of requests */
  const PRESS_MS = 1000;    /* of a press that cannot be held: a screen reader's */
  const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

  const upload = async (files) => {
    const form = new FormData();
    for (const file of files) form.append('files', file);
    const answer = await fetch('gradio_api/upload', { method: 'POST', body: form });
    if (!answer.ok) throw new Error(answer.status < 500 ? await answer.text() : '');
    return answer.json();
  };

  let stream = null;
  let live = null;          /* what answers the camera now, if anything does */
  const camera = () => document.querySelector('.q-camera');
  const say = (words) => { camera().querySelector('[data-said]').textContent = words; };
  const showState = () => {
    camera()?.classList.toggle('q-open', stream !== null);
    const button = camera()?.querySelector('[data-camera]');
    button?.setAttribute('aria-pressed', stream !== null);
    if (button) button.textContent = stream ? camera().dataset.off : camera().dataset.on;
    document.querySelector('[data-live]')?.setAttribute('aria-pressed', live !== null);
  };
  const close = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    live = null;
    if (camera()) camera().querySelector('video').srcObject = null;
    showState();
  };
  /* A camera that nobody sees is closed: the screen was left, or the whole page. */
  const closeUnseen = () => {
    if (!stream) return;
    if (document.hidden || !camera()?.checkVisibility()) close();
    else setTimeout(closeUnseen, 500);
  };
  const start = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      const video = camera().querySelector('video');
      video.srcObject = stream;
      await video.play();
    } catch {
      close();
      say(camera().dataset.missing);
      return false;
    }
    say('');
    showState();
    closeUnseen();
    return true;
  };
  let opening = null;
  const open = async () => {
    if (stream && !opening) return true;
    opening ??= start().finally(() => { opening = null; });
    return opening;
  };
  /* The square that is on screen. */
  const take = async () => {
    const video = camera().querySelector('video');
    const side = Math.min(video.videoWidth, video.videoHeight);
    const canvas = Object.assign(document.createElement('canvas'), { width: SIDE_PX, height: SIDE_PX });
    canvas.getContext('2d').drawImage(
      video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side, 0, 0, SIDE_PX, SIDE_PX,
    );
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/jpeg', 0.95); });
    return new File([blob], 'camera.jpg', { type: blob.type });
  };

  /* Files dropped on, or chosen in, a part of the page. */
  const watchFiles = (element, part, send) => {
    element.addEventListener('change', (event) => {
      if (!event.target.matches('input[type=file]')) return;
      const files = [...event.target.files];
      event.target.value = '';
      send(event.target.closest(part), files);
    });
    for (const kind of ['dragover', 'drop']) {
      element.addEventListener(kind, (event) => {
        const over = event.target.closest(part);
        if (!over || !event.dataTransfer?.types.includes('Files')) return;
        event.preventDefault();
        if (kind === 'drop') send(over, [...event.dataTransfer.files]);
      });
    }
  };

  window.quartet.watchCamera = (element) => {
    element.addEventListener('click', (event) => {
      if (!event.target.closest('[data-camera]')) return;
      if (stream) close();
      else open();
    });
  };

  window.quartet.watchBuckets = (element, trigger, watch) => {
    const send = async (bucket, files) => {
      if (!files.length) return;
      const told = { bucket: Number(bucket.dataset.bucket), label: bucket.querySelector('select').value };
      bucket.setAttribute('aria-busy', true);
      try {
        trigger('upload', { ...told, files: await upload(files) });
      } catch (error) {
        element.querySelector('[data-said]').textContent = error.message || camera().dataset.unsent;
      } finally {
        bucket.removeAttribute('aria-busy');
      }
    };
    watchFiles(element, '[data-bucket]', send);
    element.addEventListener('change', (event) => {
      if (!event.target.matches('select')) return;
      const bucket = Number(event.target.closest('[data-bucket]').dataset.bucket);
      trigger('select', { bucket, label: event.target.value });
    });
    /* A menu that somebody used shows its choice, whatever is drawn. */
    watch('value', () => {
      for (const menu of element.querySelectorAll('select')) menu.value = menu.dataset.shows;
    });

    let burst = null;
    const end = () => {
      if (burst) burst.held = false;
      burst = null;
    };
    const begin = async (button) => {
      end();
      const mine = burst = { held: true };
      const files = [];
      const bucket = button.closest('[data-bucket]');
      if (!await open()) return;
      while (mine.held && stream && files.length < Number(element.querySelector('[data-most]').dataset.most)) {
        files.push(await take());
        button.dataset.taken = files.length;
        await wait(BURST_MS);
      }
      delete button.dataset.taken;
      await send(bucket, files);
    };
    element.addEventListener('pointerdown', (event) => {
      const button = event.target.closest('[data-burst]');
      if (button && event.button === 0) begin(button);
    });
    for (const kind of ['pointerup', 'pointercancel', 'blur']) window.addEventListener(kind, end);
    for (const kind of ['keydown', 'keyup']) {
      element.addEventListener(kind, (event) => {
        const button = event.target.closest('[data-burst]');
        if (!button || ![' ', 'Enter'].includes(event.key)) return;
        event.preventDefault();
        if (kind === 'keyup') end();
        else if (!event.repeat) begin(button);
      });
    }
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-burst]');
      if (!button || event.detail !== 0) return;
      begin(button);
      setTimeout(end, PRESS_MS);
    });
    element.addEventListener('contextmenu', (event) => {
      if (event.target.closest('[data-burst]')) event.preventDefault();
    });
  };

  window.quartet.watchTry = (element, trigger) => {
    const send = async (_, files) => {
      try {
        if (files.length) trigger('upload', { files: await upload(files.slice(0, 1)) });
      } catch (error) {
        say(error.message || camera().dataset.unsent);
        live = null;
        showState();
      }
    };
    watchFiles(element, '.q-try', (part, files) => {
      live = null;
      showState();
      send(part, files);
    });
    element.addEventListener('click', async (event) => {
      if (!event.target.closest('[data-live]')) return;
      const mine = live ? null : {};
      live = mine && await open() ? mine : null;
      showState();
      while (mine && live === mine) {
        await Promise.all([take().then((file) => send(null, [file])), wait(LIVE_MS)]);
      }
    });
  };
})();
