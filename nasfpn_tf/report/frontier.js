'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = id => document.getElementById(id);
  const chart = $('frontier'), tip = $('tip'), frame = chart.parentElement;
  const W = 900, H = 470, L = 58, R = 58, T = 16, B = 48;
  const make = (tag, attributes, parent, text) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    (parent || chart).appendChild(node);
    return node;
  };
  const show = value => value === null || value === undefined ? '\u2013' :
    Number(value.toPrecision(value >= 1000 ? 4 : 3)).toString();
  const steps = (low, high, about) => {
    const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= raw * .999);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
    return found;
  };
  const logSteps = (low, high) => {
    const found = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
      for (const m of [1, 2, 5]) if (m * 10 ** e >= low && m * 10 ** e <= high) found.push(m * 10 ** e);
    return found.length > 1 ? found : [low, high];
  };
  const cost = (model, axis) => axis === 'latency_ms' ?
    (model.timed[$('setting').value] || {}).typical : model.cost[axis];
  const frontOf = axis => data.fronts[axis === 'latency_ms' ? axis + '@' + $('setting').value : axis];

  const describe = model => {
    const axis = $('axis').value, front = frontOf(axis), timed = model.timed[$('setting').value];
    const lines = ['AP ' + show(model.ap) + (model.ap50 === null ? '' : ', AP50 ' + show(model.ap50))];
    if (timed) lines.push(show(timed.typical) + ' ms' + (timed.p90 ? ', p90 ' + show(timed.p90) : '') +
      (timed.first ? ', first ' + show(timed.first) : ''));
    lines.push(show(model.cost.multiply_adds_g) + ' G multiply-adds, ' + show(model.cost.params_m) + ' M parameters, ' +
      show(model.cost.size_mb) + ' MB');
    if (model.facts) lines.push(model.facts);
    lines.push(front.names.includes(model.name) ? 'On the Pareto frontier.' :
      front.beaten_by[model.name] ? 'Dominated by ' + front.beaten_by[model.name] + '.' : '');
    return [model.name, lines];
  };
  const describePublished = row => [row.name, [
    'AP ' + show(row.ap) + ' on COCO ' + row.split,
    [row.multiply_adds_g && show(row.multiply_adds_g) + ' G multiply-adds', row.params_m && show(row.params_m) +
      ' M parameters', row.latency_ms && show(row.latency_ms) + ' ms on ' + row.device].filter(Boolean).join(', '),
    'Published: ' + row.source]];

  const point = (event, [title, lines]) => {
    tip.replaceChildren();
    const head = document.createElement('b');
    head.textContent = title;
    tip.append(head);
    for (const line of lines.filter(Boolean)) {
      const row = document.createElement('div');
      row.textContent = line;
      tip.append(row);
    }
    tip.style.display = 'block';
    const box = frame.getBoundingClientRect(), at = event.target.getBoundingClientRect();
    const x = at.left - box.left + 14, y = at.top - box.top + 14;
    tip.style.left = Math.max(0, Math.min(x, box.width - tip.offsetWidth)) + 'px';
    tip.style.top = y + 'px';
  };
  const choose = name => {
    for (const node of document.querySelectorAll('[data-model]'))
      node.classList.toggle('chosen', name !== null && node.dataset.model === name);
  };
  const watch = (node, text, name) => {
    node.setAttribute('tabindex', '0');
    for (const kind of ['pointerenter', 'focus']) node.addEventListener(kind, event => {
      point(event, text());
      choose(name);
    });
    for (const kind of ['pointerleave', 'blur']) node.addEventListener(kind, () => {
      tip.style.display = 'none';
      choose(null);
    });
  };

  const draw = () => {
    const axis = $('axis').value, isLog = $('log').checked;
    $('setting').parentElement.hidden = axis !== 'latency_ms' || data.settings.length < 2;
    chart.replaceChildren();
    const ours = data.models.filter(m => m.ap !== null && typeof cost(m, axis) === 'number');
    const others = $('published') && $('published').checked ? data.published.filter(p => p[axis]) : [];
    const xs = [...ours.map(m => cost(m, axis)), ...others.map(p => p[axis])];
    if (!xs.length) {
      make('text', {x: W / 2, y: H / 2, 'text-anchor': 'middle'}, chart, 'Nothing was measured of this.');
      return;
    }
    let low = Math.min(...xs), high = Math.max(...xs);
    if (isLog) { low /= 1.15; high *= 1.15; } else {
      const room = (high - low) * .06 || high * .1;
      low = Math.max(0, low - room); high += room;
    }
    const scale = isLog ? Math.log : x => x;
    const px = x => L + (scale(x) - scale(low)) / (scale(high) - scale(low)) * (W - L - R);
    const side = values => {
      const least = Math.min(...values), most = Math.max(...values), room = (most - least) * .1 || 2;
      const bottom = Math.max(0, least - room), top = most + room;
      return [bottom, top, y => H - B - (y - bottom) / (top - bottom) * (H - T - B)];
    };
    for (const x of isLog ? logSteps(low, high) : steps(low, high, 7)) {
      make('path', {class: 'grid', d: `M${px(x)} ${T}V${H - B}`});
      make('text', {x: px(x), y: H - B + 18, 'text-anchor': 'middle'}, chart, show(x));
    }
    make('text', {x: (L + W - R) / 2, y: H - 8, 'text-anchor': 'middle'}, chart, data.axes[axis] +
      (axis === 'latency_ms' ? ' (' + $('setting').value + ')' : ''));
    if (others.length) {
      const [bottom, top, py] = side(others.map(p => p.ap));
      for (const y of steps(bottom, top, 5))
        make('text', {x: W - R + 8, y: py(y) + 4}, chart, show(y));
      make('text', {x: W - 12, y: H / 2, 'text-anchor': 'middle', transform: `rotate(90 ${W - 12} ${H / 2})`}, chart,
        'AP on COCO, published');
      for (const row of others) {
        const x = px(row[axis]), y = py(row.ap);
        const mark = make('path', {class: 'published', d: `M${x} ${y - 6}l6 6l-6 6l-6 -6z`, 'pointer-events': 'all'});
        watch(mark, () => describePublished(row), null);
        mark.addEventListener('click', () => window.open(row.url, '_blank', 'noopener'));
      }
    }
    if (!ours.length) return;
    const [bottom, top, py] = side(ours.map(m => m.ap));
    for (const y of steps(bottom, top, 6)) {
      make('path', {class: 'grid', d: `M${L} ${py(y)}H${W - R}`});
      make('text', {x: L - 8, y: py(y) + 4, 'text-anchor': 'end'}, chart, show(y));
    }
    make('text', {x: 14, y: H / 2, 'text-anchor': 'middle', transform: `rotate(-90 14 ${H / 2})`}, chart, 'AP');
    const front = frontOf(axis), byName = Object.fromEntries(ours.map(m => [m.name, m]));
    const stairs = front.names.map(name => byName[name]).filter(Boolean)
      .map((m, i) => (i ? `H${px(cost(m, axis))}V${py(m.ap)}` : `M${px(cost(m, axis))} ${py(m.ap)}`)).join('');
    if (stairs) make('path', {class: 'front', d: stairs + `H${W - R}`});
    for (const model of ours) {
      const x = px(cost(model, axis)), y = py(model.ap), best = front.names.includes(model.name);
      const shape = model.quantised ? ['rect', {x: x - 6, y: y - 6, width: 12, height: 12}] :
        ['circle', {cx: x, cy: y, r: best ? 7 : 6}];
      const mark = make(shape[0], {...shape[1], class: 'mark' + (best ? '' : ' dominated'), fill: model.color});
      mark.dataset.model = model.name;
      watch(mark, () => describe(model), model.name);
      if (best) make('text', {x: x + 9, y: y + 15, class: 'name',
        ...(x > W - 220 ? {x: x - 9, 'text-anchor': 'end'} : {})}, chart, model.name);
    }
  };

  for (const setting of data.settings) $('setting').add(new Option(setting, setting));
  $('axis').value = data.axis;
  if ($('published')) $('published').addEventListener('change', event => {
    if (event.target.checked) $('log').checked = true;  // Phones and servers differ by powers of ten.
  });
  for (const id of ['axis', 'setting', 'log', 'published']) if ($(id)) $(id).addEventListener('change', draw);
  for (const row of document.querySelectorAll('tr[data-model]')) {
    row.addEventListener('pointerenter', () => choose(row.dataset.model));
    row.addEventListener('pointerleave', () => choose(null));
  }
  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.setAttribute('tabindex', '0');
      const sort = () => {
        const down = head.getAttribute('aria-sort') !== 'descending';
        heads.forEach(other => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const value = row => {
          const text = row.cells[column].textContent.trim(), number = parseFloat(text);
          return Number.isNaN(number) || column === 0 ? text : number;
        };
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          if (typeof x !== typeof y) return typeof x === 'number' ? -1 : 1;
          return (typeof x === 'number' ? x - y : x.localeCompare(y, undefined, {numeric: true})) * (down ? -1 : 1);
        });
        table.tBodies[0].append(...rows);
      };
      head.addEventListener('click', sort);
      head.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); });
    });
  }
  draw();
})();
