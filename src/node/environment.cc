#include "node/environment.h"

#include <string>
#include <vector>

#include "bridge/live_count.h"
#include "bridge/trace.h"
#include "host/runtime.h"
#include "node/js_error.h"
#include "python/gil.h"

namespace node_asgi::node {
namespace {

// startRuntime({libraries, version, programName, packagePath, nativeSymbols, loop}) -> undefined or
// a failure object
Napi::Value StartRuntime(const Napi::CallbackInfo& info) {
  const Napi::Object from = info[0].As<Napi::Object>();
  const auto text = [&](const char* name) { return from.Get(name).As<Napi::String>().Utf8Value(); };
  python::InterpreterConfig config;
  const Napi::Array libraries = from.Get("libraries").As<Napi::Array>();
  for (uint32_t i = 0; i < libraries.Length(); ++i) {
    config.libraries.push_back(libraries.Get(i).As<Napi::String>().Utf8Value());
  }
  config.version = text("version");
  config.program_name = text("programName");
  config.package_path = text("packagePath");
  config.native_symbols = text("nativeSymbols");
  config.loop = text("loop");
  bridge::Failure failure;
  if (host::Runtime::Get().Start(config, &failure)) return info.Env().Undefined();
  return ToFailureObject(info.Env(), failure);
}

// stopRuntime(timeout) -> whether everything ended in time. Blocks.
Napi::Value StopRuntime(const Napi::CallbackInfo& info) {
  const std::chrono::milliseconds timeout(info[0].As<Napi::Number>().Int64Value());
  return Napi::Boolean::New(info.Env(), host::Runtime::Get().StopBlocking(timeout));
}

// flushRuntime(): wakes the Python thread for requests that were started with `later`.
void FlushRuntime(const Napi::CallbackInfo&) { host::Runtime::Get().Flush(); }

// runtimeInfo() -> {library, version, wakeups, loopLag (milliseconds), gilOnJsThread}
Napi::Value RuntimeInfo(const Napi::CallbackInfo& info) {
  const python::LibraryInfo library = host::Runtime::Get().library();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("library", library.path);
  result.Set("version", library.version);
  result.Set("wakeups", static_cast<double>(host::Runtime::Get().wakeups()));
  using Milliseconds = std::chrono::duration<double, std::milli>;
  result.Set("loopLag", Milliseconds(host::Runtime::Get().loop_lag()).count());
  result.Set("gilOnJsThread", static_cast<double>(python::GilClaimsOnJsThreads()));
  return result;
}

// dumpStacks(patience) -> the stack of every Python thread. Blocks up to `patience` milliseconds.
Napi::Value DumpStacks(const Napi::CallbackInfo& info) {
  const std::chrono::milliseconds patience(info[0].As<Napi::Number>().Int64Value());
  return Napi::String::New(info.Env(), host::Runtime::Get().DumpStacks(patience));
}

// liveCounts() -> {exchanges, references, blocks, environments}, or null in builds that do not
// count.
Napi::Value LiveCounts(const Napi::CallbackInfo& info) {
  if (!bridge::kCountsLive) return info.Env().Null();
  Napi::Object counts = Napi::Object::New(info.Env());
  counts.Set("exchanges", static_cast<double>(bridge::LiveCount(bridge::Live::kExchange)));
  counts.Set("references", static_cast<double>(bridge::LiveCount(bridge::Live::kReference)));
  counts.Set("blocks", static_cast<double>(bridge::LiveCount(bridge::Live::kBlock)));
  counts.Set("environments", static_cast<double>(bridge::LiveCount(bridge::Live::kEnvironment)));
  return counts;
}

// traceReport() -> {stage: microseconds a request}, or null in builds that do not trace.
Napi::Value TraceReport(const Napi::CallbackInfo& info) {
#ifdef NODE_ASGI_TRACE
  Napi::Object report = Napi::Object::New(info.Env());
  const double requests = static_cast<double>(bridge::traced.requests);
  for (size_t stage = 0; stage < bridge::kStageNames.size(); ++stage) {
    const double nanoseconds = static_cast<double>(bridge::traced.nanoseconds[stage]);
    report.Set(bridge::kStageNames[stage], nanoseconds / 1000 / requests);
  }
  bridge::traced = {};
  bridge::traced.last = std::chrono::steady_clock::now();
  return report;
#else
  return info.Env().Null();
#endif
}

}  // namespace

void DefineRuntimeFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("startRuntime", Napi::Function::New(env, StartRuntime, "startRuntime"));
  exports.Set("stopRuntime", Napi::Function::New(env, StopRuntime, "stopRuntime"));
  exports.Set("flushRuntime", Napi::Function::New(env, FlushRuntime, "flushRuntime"));
  exports.Set("runtimeInfo", Napi::Function::New(env, RuntimeInfo, "runtimeInfo"));
  exports.Set("dumpStacks", Napi::Function::New(env, DumpStacks, "dumpStacks"));
  exports.Set("traceReport", Napi::Function::New(env, TraceReport, "traceReport"));
  exports.Set("liveCounts", Napi::Function::New(env, LiveCounts, "liveCounts"));
}

}  // namespace node_asgi::node
