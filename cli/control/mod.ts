/**
 * The control socket: its calls, its wire format and its client. This room
 * loads nothing of a pool, so commands that ask a server start fast.
 *
 * @module
 */

export { callServer, isChange } from "./control_client.ts";
export { followServer } from "./events_client.ts";
export { EVENTS_END } from "./event_record.ts";
export type { EventRecord, EventsRequest } from "./event_record.ts";
export type {
  AddAnswer,
  AddRequest,
  ControlCall,
  ControlCalls,
  ControlHandlers,
  GrowRequest,
  RemoveRequest,
  ResizeRequest,
  ResizeResult,
  ServerStatus,
  SetRequest,
  StatusReport,
  StopRequest,
} from "./control_protocol.ts";
export type { RollbackRequest, VolumeCalls } from "./volume_calls.ts";
export {
  receiveMessage,
  sendAnswer,
  sendLines,
  sendStreamHead,
} from "./control_wire.ts";
export type { ServeSettings } from "./serve_settings.ts";
export type { ControlMessage } from "./control_wire.ts";
