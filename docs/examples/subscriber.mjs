// Follows an event feed without missing anything, and prints each event as a line of JSON:
//
//     npm ci
//     node subscriber.mjs tcp://127.0.0.1:5556
//
// Events come on a SUB socket as [topic, event, number of the event before]. When that number is not the last one seen,
// something was missed; it is asked for on the second socket, at the next port. For feeds in JSON.
import { pathToFileURL } from "node:url";
import { Dealer, Subscriber } from "zeromq";

const ANSWER_MS = 1000;

// Asks the publisher something until it answers with the kind of reply that was wanted.
async function ask(dealer, request) {
  for (;;) {
    try {
      await dealer.send(JSON.stringify(request));
      for (;;) {
        const [header, ...events] = await dealer.receive();
        const reply = JSON.parse(header);
        if (reply.reply === request.request && (request.after === undefined || reply.after === request.after)) {
          return [reply, events.map((event) => JSON.parse(event))];
        }
      }
    } catch (error) {
      if (error.code !== "EAGAIN") throw error; // no answer in time: ask again
    }
  }
}

// Yields the events after `after` up to `through`, and a feed.gap in the place of those that are no longer to be had.
async function* missed(dealer, run, after, through) {
  while (after < through) {
    const [reply, events] = await ask(dealer, { request: "replay", run, after, through });
    if (reply.run !== run) return; // the publisher was restarted; its own events tell
    if (reply.previous > after) {
      yield { type: "feed.gap", run, seq: reply.previous, first_seq: after + 1, last_seq: reply.previous };
    }
    yield* events;
    const reached = events.length > 0 ? events.at(-1).seq : reply.previous;
    if (reached <= after) return;
    after = reached;
  }
}

// Yields a feed.snapshot, then every event after it, in order, each once; ends when the publisher says that it is done.
export async function* subscribe(endpoint) {
  const port = Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
  const subscriber = new Subscriber({ linger: 0, receiveHighWaterMark: 10_000 });
  const dealer = new Dealer({ linger: 100, receiveTimeout: ANSWER_MS, sendTimeout: ANSWER_MS });
  try {
    subscriber.connect(endpoint);
    subscriber.subscribe();
    dealer.connect(endpoint.slice(0, endpoint.lastIndexOf(":") + 1) + (port + 1));
    const [, [snapshot]] = await ask(dealer, { request: "snapshot" });
    yield snapshot;
    let { run, seq: last } = snapshot;
    for await (const [, payload, previous] of subscriber) {
      const event = JSON.parse(payload);
      if (event.run !== run && event.run !== "") {
        [run, last] = [event.run, 0]; // a new run: all its events are ours
      }
      if (event.type === "heartbeat" ? event.seq > last : Number(previous) > last) {
        for await (const found of missed(dealer, run, last, Number(previous))) {
          yield found;
          last = found.seq;
        }
      }
      if (event.type === "heartbeat") {
        if (event.final) {
          await dealer.send(JSON.stringify({ request: "done", run, seq: last }));
          return;
        }
      } else if (event.seq > last) {
        yield event;
        last = event.seq;
      }
    }
  } finally {
    subscriber.close();
    dealer.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for await (const event of subscribe(process.argv[2] ?? "tcp://127.0.0.1:5556")) {
    console.log(JSON.stringify(event));
  }
}
