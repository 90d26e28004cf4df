/**
 * The control socket: its calls, its wire format and its client.
 *
 * @module
 */

export {
  addComponents,
  registerOpenPool,
  removeComponents,
  resizeDisk,
  SERVED_EVACUATION_RATE,
} from "./change_pool.ts";
export {
  nameOf,
  type VolumeHandlers,
  volumeHandlers,
} from "./change_volumes.ts";
export { callServer } from "./control_client.ts";
export { followServer } from "./events_client.ts";
export { EVENTS_END, eventsRequestOf } from "./event_record.ts";
export type { EventRecord, EventsRequest } from "./event_record.ts";
export { isControlCall, parseControlRequest } from "./control_protocol.ts";
export type {
  AddAnswer,
  AddRequest,
  ControlCall,
  ControlCalls,
  ControlHandlers,
  RemoveRequest,
  ResizeRequest,
  ResizeResult,
  ServerStatus,
  SetRequest,
  StatusReport,
  StopRequest,
} from "./control_protocol.ts";
export { parseFields } from "./request_fields.ts";
export type { RollbackRequest, VolumeCalls } from "./volume_calls.ts";
export {
  receiveMessage,
  sendAnswer,
  sendLines,
  sendStreamHead,
} from "./control_wire.ts";
export { SETTINGS } from "./serve_settings.ts";
export type { ServeSettings, SettingSpec } from "./serve_settings.ts";
export { parseSettings, settingText } from "./setting_values.ts";
export { parseSpaceMark } from "./space_mark.ts";
export type { ControlMessage } from "./control_wire.ts";
