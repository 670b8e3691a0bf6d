// Tries a regular expression on lines, in a thread of its own: some take longer than anybody waits, and
// nothing but the end of the thread stops them.

let expression: RegExp | null = null;

self.onmessage = (event: MessageEvent<{ source: string } | { texts: string[] }>) => {
  if ('source' in event.data) {
    expression = new RegExp(event.data.source, 'i');
    self.postMessage('ready');
    return;
  }
  const tried = expression;
  self.postMessage(event.data.texts.map((text) => tried?.test(text) ?? false));
};
