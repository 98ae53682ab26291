#include "node/python_handler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "bridge/trace.h"
#include "host/dispatcher.h"
#include "node/environment.h"
#include "node/js_error.h"
#include "node/request_reader.h"
#include "node/sync_sink.h"

namespace node_asgi::node {

using bridge::Failure;
using bridge::ResponseEvent;
using bridge::ResponseSink;

namespace {

constexpr std::chrono::milliseconds kOrphanTimeout{5000};
constexpr std::chrono::milliseconds kBlockedMargin{250};

host::ApplicationOptions ReadOptions(Napi::Object from) {
  const auto text = [&](const char* name) { return from.Get(name).As<Napi::String>().Utf8Value(); };
  const auto number = [&](const char* name) {
    return from.Get(name).As<Napi::Number>().Int64Value();
  };
  host::ApplicationOptions options;
  options.id = static_cast<uint32_t>(number("id"));
  options.target = text("target");
  options.docroot = text("docroot");
  options.fresh = from.Get("fresh").As<Napi::Boolean>().Value();
  options.logs = from.Get("logs").As<Napi::Boolean>().Value();
  options.lifespan = text("lifespan");
  options.spec_version = text("specVersion");
  options.high_water_mark = static_cast<size_t>(number("highWaterMark"));
  options.cancel_on_disconnect = static_cast<int>(number("cancelOnDisconnect"));
  options.max_concurrency = static_cast<size_t>(number("maxConcurrency"));
  options.start_timeout = static_cast<int>(number("startTimeout"));
  options.response_timeout = static_cast<int>(number("responseTimeout"));
  return options;
}

void Settle(ResponseSink& sink, uint32_t token, std::string json, const Failure* failure) {
  ResponseEvent event{ResponseEvent::Kind::kSettled};
  event.amount = token;
  event.body = std::move(json);
  if (failure != nullptr) event.failure = std::make_unique<Failure>(*failure);
  sink.Post(std::move(event), ResponseSink::Urgency::kNow);
}

}  // namespace

Napi::Function PythonHandler::Define(Napi::Env env) {
  return DefineClass(
      env, "PythonHandler",
      {InstanceMethod("load", &PythonHandler::Load), InstanceMethod("start", &PythonHandler::Start),
       InstanceMethod("startSync", &PythonHandler::StartSync),
       InstanceMethod("stop", &PythonHandler::Stop),
       InstanceMethod("stats", &PythonHandler::Stats)});
}

PythonHandler::PythonHandler(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<PythonHandler>(info),
      mailbox_(MailboxWrap::Unwrap(info[0].As<Napi::Object>())->mailbox()),
      application_(bridge::MakeRef<host::Application>(
          host::Runtime::Get(), ReadOptions(info[1].As<Napi::Object>()), mailbox_)) {}

PythonHandler::~PythonHandler() {
  // The last reference goes on the Python thread in any case, behind the first events of exchanges,
  // which name the application without counting.
  const bool stops = !application_->closing.exchange(true);
  host::Runtime::Get().Call(
      [application = std::move(application_), stops](const python::GilHeld& gil) {
        if (stops)
          application->Stop(gil, kOrphanTimeout, [](const python::GilHeld&, std::string) {});
      },
      [](const Failure&) {});
}

void PythonHandler::Load(const Napi::CallbackInfo& info) {
  const uint32_t token = info[0].As<Napi::Number>().Uint32Value();
  host::Runtime::Get().SetNoticeSink(mailbox_);
  host::Runtime::Get().Call(
      [application = application_, sink = mailbox_, token](const python::GilHeld& gil) {
        application->Load(
            gil, [sink, token](const Failure* failure) { Settle(*sink, token, "", failure); });
      },
      [sink = mailbox_, token](const Failure& failure) { Settle(*sink, token, "", &failure); });
}

Napi::Value PythonHandler::Start(const Napi::CallbackInfo& info) {
  bridge::Trace(bridge::Stage::kEntered);
  host::Refusal refusal;
  const auto exchange =
      host::Admit(*application_, ReadRequest(info, mailbox_->spare_heads()), mailbox_, &refusal);
  if (!exchange) return Napi::Number::New(info.Env(), refusal == host::Refusal::kBusy ? -1 : -2);
  const uint32_t slot = mailbox_->Add(exchange);
  using WakeUp = host::Runtime::WakeUp;
  const bool later = (info[2].As<Napi::Number>().Uint32Value() & kWakeLater) != 0;
  host::Begin(*application_, exchange, later ? WakeUp::kLater : WakeUp::kNow);
  return Napi::Number::New(info.Env(), slot);
}

Napi::Value PythonHandler::StartSync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto sink = std::make_shared<SyncSink>();
  host::Refusal refusal;
  const auto exchange =
      host::Admit(*application_, ReadRequest(info, mailbox_->spare_heads()), sink, &refusal);
  if (!exchange) {
    return ToFailureObject(env,
                           refusal == host::Refusal::kBusy
                               ? Failure{"ERR_ASGI_BUSY", "maxConcurrency requests are in flight"}
                               : Failure{"ERR_ASGI_CLOSED", "the handler is closed"});
  }
  host::Begin(*application_, exchange);
  const int64_t timeout = info[5].As<Napi::Number>().Int64Value();
  const SyncSink::Result result = sink->Wait(std::chrono::milliseconds(timeout));
  host::OnEnded(host::Runtime::Get(), *exchange);
  if (!result.ended) {
    host::Runtime::Get().Deliver(exchange, {bridge::RequestEvent::Kind::kCancel});
    return ToFailureObject(
        env, {"ERR_ASGI_TIMEOUT", "no response within " + std::to_string(timeout) + " ms"});
  }
  if (result.failure) return ToFailureObject(env, *result.failure);
  Napi::Array flat = Napi::Array::New(env, 3);
  flat.Set(0U, result.status);
  napi_value headers = nullptr;
  napi_create_string_latin1(env, result.headers.data(), result.headers.size(), &headers);
  flat.Set(1U, Napi::Value(env, headers));
  flat.Set(2U, Napi::Buffer<char>::Copy(env, result.body.data(), result.body.size()));
  return flat;
}

void PythonHandler::Stop(const Napi::CallbackInfo& info) {
  const uint32_t token = info[0].As<Napi::Number>().Uint32Value();
  const std::chrono::milliseconds timeout(info[1].As<Napi::Number>().Int64Value());
  application_->closing = true;
  host::Runtime& runtime = host::Runtime::Get();
  // A little more than Python gets: when it is blocked, somebody else must say so.
  const uint64_t deadline =
      runtime.deadlines().Arm(timeout + kBlockedMargin, [sink = mailbox_, token] {
        Settle(*sink, token, R"({"drained":0,"cancelled":0,"timedOut":true,"lifespan":"timeout"})",
               nullptr);
      });
  runtime.Call(
      [application = application_, sink = mailbox_, token, timeout,
       deadline](const python::GilHeld& gil) {
        application->Stop(gil, timeout,
                          [sink, token, deadline](const python::GilHeld&, std::string report) {
                            host::Runtime::Get().deadlines().Disarm(deadline);
                            Settle(*sink, token, std::move(report), nullptr);
                          });
      },
      [sink = mailbox_, token, deadline](const Failure&) {
        host::Runtime::Get().deadlines().Disarm(deadline);
        Settle(*sink, token,
               R"({"drained":0,"cancelled":0,"timedOut":false,"lifespan":"unsupported"})", nullptr);
      });
}

Napi::Value PythonHandler::Stats(const Napi::CallbackInfo& info) {
  Napi::Object stats = Napi::Object::New(info.Env());
  stats.Set("total", static_cast<double>(application_->admitted.load()));
  stats.Set("failed", static_cast<double>(application_->failed.load()));
  stats.Set("inFlight", static_cast<double>(application_->in_flight()));
  return stats;
}

}  // namespace node_asgi::node
