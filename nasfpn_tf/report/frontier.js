'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = id => document.getElementById(id);
  const frame = $('frontier'), tip = $('tip');
  const show = value => value === null || value === undefined ? '\u2013' :
    Number(value.toPrecision(value >= 1000 ? 4 : 3)).toString();
  const costKey = () => $('axis').value + ($('axis').value === 'latency_ms' ? '@' + $('setting').value : '');

  const describe = model => {
    const front = data.fronts[costKey()], timed = model.timed[$('setting').value];
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
    for (const kind of ['pointerenter', 'focus']) node.addEventListener(kind, event => {
      point(event, text());
      choose(name);
    });
    for (const kind of ['pointerleave', 'blur']) node.addEventListener(kind, () => {
      tip.style.display = 'none';
      choose(null);
    });
  };

  // The charts are drawn; one of them is shown.
  const select = () => {
    $('setting').parentElement.hidden = $('axis').value !== 'latency_ms' || data.settings.length < 2;
    const views = [...frame.querySelectorAll('[data-view]')], names = views.map(view => view.dataset.view);
    const published = costKey() + '+published';
    const chosen = $('published') && $('published').checked && names.includes(published) ? published : costKey();
    for (const view of views) view.hidden = view.dataset.view !== chosen;
    $('nothing').hidden = names.includes(chosen);
  };
  for (const id of ['axis', 'setting', 'published']) if ($(id)) $(id).addEventListener('change', select);
  for (const model of data.models)
    for (const mark of frame.querySelectorAll('[data-model]'))
      if (mark.dataset.model === model.name) watch(mark, () => describe(model), model.name);
  for (const row of data.published)
    for (const mark of frame.querySelectorAll('[data-published]'))
      if (mark.dataset.published === row.name) {
        watch(mark, () => describePublished(row), null);
        mark.addEventListener('click', () => window.open(row.url, '_blank', 'noopener'));
      }
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
  $('axis').value = data.axis;
  select();
})();
