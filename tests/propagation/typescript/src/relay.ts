/** The gRPC service `detour.test.Relay`: all four kinds of method, each of `google.protobuf.StringValue`. */

import { type MethodDefinition, type ServiceDefinition, makeGenericClientConstructor } from "@grpc/grpc-js";

const FIELD = 0x0a;

/** Encodes a `StringValue` of less than 128 bytes: its field 1. */
function encode(value: string): Buffer {
  const text = Buffer.from(value);
  return Buffer.concat([Buffer.of(FIELD, text.length), text]);
}

function decode(message: Buffer): string {
  return message.subarray(2).toString();
}

function method(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<string, string> {
  return {
    path: `/detour.test.Relay/${name}`,
    requestStream,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  };
}

export const relay: ServiceDefinition = {
  Unary: method("Unary", false, false),
  ClientStream: method("ClientStream", true, false),
  ServerStream: method("ServerStream", false, true),
  BidiStream: method("BidiStream", true, true),
};

export const RelayClient = makeGenericClientConstructor(relay, "Relay");
