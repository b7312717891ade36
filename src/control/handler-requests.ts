// Requests of control that the handler thread answers at once; those that take slices are jobs of handler-loop.ts.
import { changeBond } from "../bridge/bond/bond-change.ts";
import type { Clock } from "../memory/clock.ts";
import { findFlow } from "../upcall/flow-change.ts";
import type { Handler } from "../upcall/handler.ts";
import { closePort, type HandlerCore, openPort } from "./handler-core.ts";
import type { HandlerOutlets } from "./handler-outlets.ts";
import type { HandlerRequestName, HandlerRequests, HandlerStats } from "./handler-protocol.ts";

export type SlicedRequest = "apply" | "flush" | "macs";

export type AtOnce = {
  readonly [Name in Exclude<HandlerRequestName, SlicedRequest>]: (
    args: HandlerRequests[Name]["args"],
  ) => HandlerRequests[Name]["answer"];
};

/** Carries out what a request says, and answers null. */
const doing =
  <Args>(run: (args: Args) => void) =>
  (args: Args): null => {
    run(args);
    return null;
  };

export function requestsAtOnce(
  core: HandlerCore,
  outlets: HandlerOutlets,
  clock: Clock,
  stop: () => void,
): AtOnce {
  const { handler, table, learn, bonds, tunnels } = core;
  return {
    find: ({ ufid, key }) => {
      const flowNo = findFlow(table, ufid, key);
      return flowNo === 0 ? null : table.flows.read(flowNo);
    },
    listen: doing(({ pid }) => outlets.listen(pid)),
    unlisten: doing(({ pid }) => outlets.unlisten(pid)),
    watchFlows: doing(({ isWatched }) => outlets.watchFlows(isWatched)),
    written: doing((written) => outlets.written(written)),
    inject: (injection) => handler.injector.inject(injection),
    setPortPids: doing(({ portNo, pids }) => handler.dispatch.setPortPids(portNo, pids)),
    setWorkerPids: doing(({ pids }) => handler.dispatch.setWorkerPids(pids)),
    setPort: doing((news) => openPort(core, news, clock.millis())),
    setLink: doing(({ portNo, link }) => bonds.setLink(portNo, link, clock.millis())),
    bonds: () => bonds.view(clock.millis()),
    changeBond: (change) => changeBond(bonds, change, clock.millis()),
    removePort: doing(({ portNo }) => {
      closePort(core, portNo, clock.millis());
      handler.dispatch.setPortPids(portNo, []);
    }),
    setTunnels: doing((state) => tunnels.setState(state)),
    macCounts: () => learn?.macs.counts ?? { learned: 0, expired: 0, evicted: 0, moved: 0 },
    flushMacs: doing(() => learn?.flush(clock.millis())),
    stats: () => stats(handler),
    stop: doing(stop),
  };
}

function stats({ installCount, refusedCount, latency, revalidator, pids }: Handler): HandlerStats {
  return {
    installed: installCount,
    refused: refusedCount,
    learnedFlows: revalidator.learnedCount,
    removed: { ...revalidator.counts },
    latencyMicros: {
      p50: latency.percentile(50),
      p99: latency.percentile(99),
      max: latency.count === 0 ? 0 : latency.max,
    },
    pids: [...pids.counts()].map(([pid, counts]) => ({ pid, ...counts })),
  };
}
