#include "node/js_mailbox.h"

#include <utility>

#include "bridge/trace.h"
#include "host/dispatcher.h"
#include "host/runtime.h"
#include "node/request_reader.h"
#include "python/gil.h"

namespace node_asgi::node {

using bridge::RequestEvent;

JsMailbox::Js::Js(Napi::Env in, Napi::Function function)
    : env(in),
      on_batch(Napi::Persistent(function)),
      receiver(Napi::Persistent(Napi::Object::New(in))),
      context(in, "node_asgi"),
      writer(in) {}

JsMailbox::JsMailbox(Napi::Env env, Napi::Function on_batch)
    : js_(std::make_shared<Js>(env, on_batch)), handles_(new Handles), mailbox_(*this) {
  python::MarkJsThread();
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  uv_async_init(loop, &handles_->async,
                [](uv_async_t* handle) { static_cast<JsMailbox*>(handle->data)->OnWake(); });
  uv_prepare_init(loop, &handles_->prepare);
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->prepare));
  handles_->async.data = handles_->prepare.data = this;
  Unref();
  // Asynchronous, because an environment may only end once the handle's close callback has run.
  napi_add_async_cleanup_hook(
      env,
      [](napi_async_cleanup_hook_handle, void* self) { static_cast<JsMailbox*>(self)->Close(); },
      this, &handles_->cleanup);
}

void JsMailbox::Close() {
  if (!js_) return;
  mailbox_.Close();
  // Nobody will hear the answers: let the apps know.
  for (uint32_t slot = 0; slot < slots_.size(); ++slot)
    Deliver(slot, {RequestEvent::Kind::kDisconnect});
  js_.reset();
  const auto closed = [](uv_handle_t* handle) {
    auto* const handles = static_cast<Handles*>(handle->data);
    if (--handles->open > 0) return;
    napi_remove_async_cleanup_hook(handles->cleanup);
    delete handles;
  };
  handles_->async.data = handles_->prepare.data = handles_;
  uv_close(reinterpret_cast<uv_handle_t*>(&handles_->async), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&handles_->prepare), closed);
}

void JsMailbox::SetSpin(std::chrono::microseconds longest) {
  if (!js_) return;
  spin_ = longest;
  uv_prepare_stop(&handles_->prepare);
  if (longest.count() == 0) return;
  uv_prepare_start(&handles_->prepare, [](uv_prepare_t* handle) {
    static_cast<JsMailbox*>(handle->data)->OnPrepare();
  });
}

void JsMailbox::OnPrepare() {
  // What else the loop has to do waits meanwhile.
  constexpr std::chrono::milliseconds kLongestTurn{1};
  const auto ends = std::chrono::steady_clock::now() + kLongestTurn;
  while (js_ && slots_.size() > free_.size() && mailbox_.Spin(spin_)) {
    OnWake();
    if (std::chrono::steady_clock::now() >= ends) break;
  }
}

void JsMailbox::Post(bridge::ResponseEvent event, Urgency urgency) {
  using WakeUp = bridge::Mailbox<bridge::ResponseEvent>::WakeUp;
  mailbox_.Post(std::move(event), urgency == Urgency::kNow ? WakeUp::kNow : WakeUp::kLater);
}

uint32_t JsMailbox::Add(const bridge::RefPtr<bridge::Exchange>& exchange) {
  uint32_t slot = static_cast<uint32_t>(slots_.size());
  if (free_.empty()) {
    slots_.push_back(exchange);
  } else {
    slot = free_.back();
    free_.pop_back();
    slots_[slot] = exchange;
  }
  exchange->slot = slot;
  return slot;
}

void JsMailbox::Release(uint32_t slot) {
  slots_[slot]->slot = -1;
  host::OnEnded(host::Runtime::Get(), *slots_[slot]);
  slots_[slot] = nullptr;
  (in_batch_ ? freed_in_batch_ : free_).push_back(slot);
}

void JsMailbox::Deliver(uint32_t slot, RequestEvent event) {
  if (slot >= slots_.size() || !slots_[slot]) return;
  const bridge::RefPtr<bridge::Exchange> exchange = slots_[slot];
  // A caller that has left hears nothing more.
  if (event.kind == RequestEvent::Kind::kDisconnect) Release(slot);
  host::Runtime::Get().Deliver(exchange, std::move(event));
}

void JsMailbox::OnWake() {
  // Held: JavaScript may close the mailbox in the middle of a batch.
  const std::shared_ptr<Js> js = js_;
  if (!js) return;
  in_batch_ = true;
  bridge::Trace(bridge::Stage::kTaken);
  // An environment that is being terminated refuses to make values: its batch is lost with it.
  try {
    const Napi::HandleScope scope(js->env);
    const bool more = mailbox_.Drain([this, &js](bridge::ResponseEvent event) {
      if (!event.exchange) {
        js->writer.Add(js->env, event, 0);
        return;
      }
      if (event.exchange->slot < 0) return;  // ended by a deadline, or left by its caller
      const uint32_t slot = static_cast<uint32_t>(event.exchange->slot);
      js->writer.Add(js->env, event, slot);
      if (event.last()) {
        Release(slot);
      } else if (event.kind == bridge::ResponseEvent::Kind::kStart ||
                 event.kind == bridge::ResponseEvent::Kind::kAccept) {
        host::OnAnswered(host::Runtime::Get(), *event.exchange);
      }
    });
    if (more) Wake();
    if (js->writer.count() > 0) CallBatch(*js);
  } catch (const std::exception&) {
  }
  js->writer.Clear();
  in_batch_ = false;
  free_.insert(free_.end(), freed_in_batch_.begin(), freed_in_batch_.end());
  freed_in_batch_.clear();
}

void JsMailbox::CallBatch(Js& js) {
  const napi_env env = js.env;
  const std::vector<napi_value> arguments = js.writer.TakeArguments(js.env);
  bridge::Trace(bridge::Stage::kGiven);
  // napi_make_callback opens the callback scope whose end runs microtasks and process.nextTick. Not
  // through the C++ wrapper, which aborts when a terminated environment has no exception to show.
  if (napi_make_callback(env, js.context, js.receiver.Value(), js.on_batch.Value(),
                         arguments.size(), arguments.data(), nullptr) != napi_pending_exception) {
    return;
  }
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

Napi::Function MailboxWrap::Define(Napi::Env env) {
  return DefineClass(
      env, "Mailbox",
      {InstanceMethod("body", &MailboxWrap::Body), InstanceMethod("end", &MailboxWrap::End),
       InstanceMethod("message", &MailboxWrap::Message),
       InstanceMethod("credit", &MailboxWrap::Credit),
       InstanceMethod("disconnect", &MailboxWrap::Disconnect),
       InstanceMethod("lends", &MailboxWrap::Lends), InstanceMethod("block", &MailboxWrap::Block),
       InstanceMethod("giveBlock", &MailboxWrap::GiveBlock),
       InstanceMethod("ref", &MailboxWrap::Ref), InstanceMethod("unref", &MailboxWrap::Unref),
       InstanceMethod("close", &MailboxWrap::Close), InstanceMethod("spin", &MailboxWrap::Spin),
       InstanceMethod("wakeups", &MailboxWrap::Wakeups)});
}

MailboxWrap::MailboxWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<MailboxWrap>(info),
      mailbox_(std::make_shared<JsMailbox>(info.Env(), info[0].As<Napi::Function>())) {}

void MailboxWrap::Body(const Napi::CallbackInfo& info) {
  RequestEvent event{RequestEvent::Kind::kBody};
  event.bytes = ReadBytes(info[1]);
  mailbox_->Deliver(info[0].As<Napi::Number>().Uint32Value(), std::move(event));
}

void MailboxWrap::End(const Napi::CallbackInfo& info) {
  mailbox_->Deliver(info[0].As<Napi::Number>().Uint32Value(), {RequestEvent::Kind::kBodyEnd});
}

void MailboxWrap::Message(const Napi::CallbackInfo& info) {
  const bool binary = info[2].ToBoolean().Value();
  RequestEvent event{binary ? RequestEvent::Kind::kBinary : RequestEvent::Kind::kText};
  event.bytes = ReadBytes(info[1]);
  mailbox_->Deliver(info[0].As<Napi::Number>().Uint32Value(), std::move(event));
}

void MailboxWrap::Credit(const Napi::CallbackInfo& info) {
  RequestEvent event{RequestEvent::Kind::kCredit};
  event.amount = info[1].As<Napi::Number>().Uint32Value();
  mailbox_->Deliver(info[0].As<Napi::Number>().Uint32Value(), std::move(event));
}

void MailboxWrap::Disconnect(const Napi::CallbackInfo& info) {
  RequestEvent event{RequestEvent::Kind::kDisconnect};
  if (info[1].IsNumber()) event.amount = info[1].As<Napi::Number>().Uint32Value();
  if (info[2].IsString()) event.bytes = info[2].As<Napi::String>().Utf8Value();
  mailbox_->Deliver(info[0].As<Napi::Number>().Uint32Value(), std::move(event));
}

Napi::Value MailboxWrap::Lends(const Napi::CallbackInfo& info) {
  static char byte = 0;
  napi_value buffer = nullptr;
  const napi_status made = napi_create_external_buffer(
      info.Env(), 1, &byte, [](napi_env, void*, void*) {}, nullptr, &buffer);
  return Napi::Boolean::New(info.Env(), made == napi_ok);
}

Napi::Value MailboxWrap::Block(const Napi::CallbackInfo& info) {
  const auto& blocks = mailbox_->shared_body_blocks();
  char* const data = blocks->data(info[0].As<Napi::Number>().Uint32Value());
  using Holder = std::shared_ptr<bridge::BodyBlocks>;
  return Napi::Buffer<char>::New(
      info.Env(), data, bridge::BodyBlocks::kBytes,
      [](Napi::Env, char*, Holder* holder) { delete holder; }, new Holder(blocks));
}

void MailboxWrap::GiveBlock(const Napi::CallbackInfo& info) {
  mailbox_->body_blocks()->Give(info[0].As<Napi::Number>().Uint32Value());
}

void MailboxWrap::Spin(const Napi::CallbackInfo& info) {
  const std::chrono::microseconds longest(info[0].As<Napi::Number>().Int64Value());
  mailbox_->SetSpin(longest);
  host::Runtime::Get().loop().SetSpin(longest);
}

Napi::Value MailboxWrap::Wakeups(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(mailbox_->wakeups()));
}

}  // namespace node_asgi::node
