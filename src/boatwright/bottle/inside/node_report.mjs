// A reporter for node:test: JUnit with the file, the error's name and the deepest frame of each test.
// Runs inside a bottle; no dependencies, one file, Node 18.15 and later.

const CONTROL = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g;
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;', '\t': '&#9;', '\r': '&#13;' };
const LONGEST = 20000;
const root = process.cwd();

const attribute = (text) => String(text).replace(CONTROL, '?').replace(/[&<>"\n\t\r]/g, (c) => ESCAPES[c]);
const body = (text) => String(text).slice(-LONGEST).replace(CONTROL, '?').replace(/[&<>]/g, (c) => ESCAPES[c]);

function relative(name) {
  const path = String(name ?? '').replace(/^file:\/\//, '');
  return path.startsWith(root + '/') ? path.slice(root.length + 1) : '';
}

// The first frame that is not node's own; with `own`, the first below the workspace.
function deepest(stack, own) {
  for (const line of String(stack ?? '').split('\n')) {
    const found = /^\s*(?:at\s)?.*?\(?((?:file:\/\/)?\/[^()]*?):\d+:\d+\)?$/.exec(line);
    if (!found || line.includes('node:')) continue;
    if (!own || relative(found[1])) return relative(found[1]) || found[1];
  }
  return '';
}

function loading(text, error) {
  const found = /^([A-Za-z]*Error)(?: \[\w+\])?: (.*)$/m.exec(text ?? '');
  if (!found) return error?.cause ?? error;
  return { name: found[1], message: found[2], stack: text };
}

// A test that runs others fails because they do; a file that runs tests does too. Only leaves are cases,
// and parents that failed by themselves.
const byItself = (error) => error && !['subtestsFailed', 'cancelledByParent'].includes(error.failureType);

export default async function* report(source) {
  const byFile = new Map();
  const said = new Map();
  const cases = [];
  for await (const { type, data } of source) {
    if (type === 'test:stderr') said.set(data.file, ((said.get(data.file) ?? '') + data.message).slice(-LONGEST));
    if (!byFile.has(data?.file)) byFile.set(data?.file, []);
    const open = byFile.get(data?.file);
    if (type === 'test:start') {
      open.length = data.nesting;
      open[data.nesting] = { name: data.name, parent: false };
      if (data.nesting > 0 && open[data.nesting - 1]) open[data.nesting - 1].parent = true;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const here = open[data.nesting];
    const parent = Boolean(here && here.parent && here.name === data.name);
    const error = data.details?.error;
    const isSuite = data.details?.type === 'suite' || parent;
    if (isSuite && !(type === 'test:fail' && byItself(error))) continue;
    const name = [...open.slice(0, data.nesting).map((each) => each?.name ?? ''), data.name].join(' > ');
    cases.push({ name, file: relative(data.file) || relative(data.name), data, error, failed: type === 'test:fail' });
  }
  yield '<?xml version="1.0" encoding="utf-8"?>\n<testsuite name="node:test">\n';
  for (const { name, file, data, error, failed } of cases) {
    const label = relative(name) || name;
    yield `<testcase name="${attribute(label)}" file="${attribute(file)}">`;
    if (data.skip !== undefined || data.todo !== undefined) {
      yield '<skipped/>';
    } else if (failed) {
      // A file that does not load says why on stderr only.
      const cause = relative(data.name) ? loading(said.get(data.file), error) : (error?.cause ?? error);
      const kind = cause?.name ?? '';
      const code = cause?.code ?? '';
      const stack = cause?.stack ?? cause;
      yield '<properties>';
      yield `<property name="exception" value="${attribute(code === 'ERR_ASSERTION' ? 'AssertionError' : kind)}"/>`;
      yield `<property name="code" value="${attribute(code)}"/>`;
      yield `<property name="frame" value="${attribute(deepest(stack, false))}"/>`;
      yield `<property name="own" value="${attribute(deepest(stack, true))}"/></properties>`;
      yield `<failure message="${attribute(cause?.message ?? cause ?? 'failed')}">${body(stack)}</failure>`;
    }
    yield '</testcase>\n';
  }
  yield '</testsuite>\n';
}
