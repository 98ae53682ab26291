// An environment's end of all its exchanges: response events come in from any thread, one wake-up
// and one call into JavaScript a batch; request events go out by slot number. Thread: Post and
// Flush any; the rest the JavaScript thread. Owner: a JavaScript object and every exchange, by
// shared pointer. Teardown: the environment's cleanup hook or the object's finalizer closes it;
// events for a closed mailbox are dropped.
#ifndef NODE_ASGI_NODE_JS_MAILBOX_H_
#define NODE_ASGI_NODE_JS_MAILBOX_H_

#include <memory>
#include <vector>

#include "bridge/exchange.h"
#include "bridge/mailbox.h"
#include "bridge/response_sink.h"
#include "bridge/waker.h"
#include "node/napi_config.h"
#include "node/response_writer.h"

namespace node_asgi::node {

class JsMailbox final : public bridge::ResponseSink, public bridge::Waker {
 public:
  // `on_batch(count, numbers, ...values)` must not throw.
  JsMailbox(Napi::Env env, Napi::Function on_batch);
  ~JsMailbox() override = default;

  void Post(bridge::ResponseEvent event, Urgency urgency) override;
  bridge::BodyBlocks* body_blocks() override { return body_blocks_.get(); }
  const std::shared_ptr<bridge::BodyBlocks>& shared_body_blocks() const { return body_blocks_; }
  void Flush() override { mailbox_.Flush(); }
  void Wake() noexcept override { uv_async_send(&handles_->async); }

  // Gives the exchange a slot number.
  uint32_t Add(const bridge::RefPtr<bridge::Exchange>& exchange);
  // Sends a request event to the exchange in a slot; ignored when the slot is free.
  void Deliver(uint32_t slot, bridge::RequestEvent event);

  // Whether the environment's loop stays alive for this mailbox.
  void Ref() { uv_ref(reinterpret_cast<uv_handle_t*>(&handles_->async)); }
  void Unref() { uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->async)); }

  // How long the environment looks for responses before it sleeps, while there are requests in
  // flight; zero, the default: not at all.
  void SetSpin(std::chrono::microseconds longest);

  // See ResponseWriter. Null once it is closed.
  std::vector<std::string>* spare_heads() { return js_ ? &js_->writer.spare_heads() : nullptr; }

  void Close();
  uint64_t wakeups() const { return mailbox_.wakeups(); }

 private:
  void OnWake();
  void OnPrepare();
  void Release(uint32_t slot);

  // What belongs to the environment; gone once the mailbox is closed, because the last reference to
  // the mailbox may be dropped on another thread after the environment has died.
  struct Js {
    Js(Napi::Env env, Napi::Function function);
    Napi::Env env;
    Napi::FunctionReference on_batch;
    Napi::ObjectReference receiver;
    Napi::AsyncContext context;
    ResponseWriter writer;
  };
  void CallBatch(Js& js);

  std::shared_ptr<Js> js_;
  // Freed by the last close callback of the two.
  struct Handles {
    uv_async_t async;
    uv_prepare_t prepare;  // runs before the loop polls; started only to spin
    napi_async_cleanup_hook_handle cleanup;
    int open = 2;
  };
  Handles* handles_;
  // Before the events, which hold blocks.
  const std::shared_ptr<bridge::BodyBlocks> body_blocks_ = std::make_shared<bridge::BodyBlocks>();
  std::chrono::microseconds spin_{0};
  bridge::Mailbox<bridge::ResponseEvent> mailbox_;

  std::vector<bridge::RefPtr<bridge::Exchange>> slots_;
  std::vector<uint32_t> free_;
  // Slots freed while JavaScript works through a batch: the batch may still name them.
  std::vector<uint32_t> freed_in_batch_;
  bool in_batch_ = false;
};

// The JavaScript class `Mailbox`: new Mailbox(onBatch), body(slot, bytes), end(slot),
// message(slot, bytes, isBinary), credit(slot, bytes), disconnect(slot, code, reason), lends,
// block(index), giveBlock(index), ref, unref, close, spin(microseconds), wakeups.
class MailboxWrap final : public Napi::ObjectWrap<MailboxWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit MailboxWrap(const Napi::CallbackInfo& info);
  ~MailboxWrap() override { mailbox_->Close(); }

  const std::shared_ptr<JsMailbox>& mailbox() const { return mailbox_; }

 private:
  void Body(const Napi::CallbackInfo& info);
  void End(const Napi::CallbackInfo& info);
  void Message(const Napi::CallbackInfo& info);
  void Credit(const Napi::CallbackInfo& info);
  void Disconnect(const Napi::CallbackInfo& info);
  // Whether the environment allows Buffers of native memory.
  Napi::Value Lends(const Napi::CallbackInfo& info);
  // The Buffer of a block, for as long as anybody holds it.
  Napi::Value Block(const Napi::CallbackInfo& info);
  void GiveBlock(const Napi::CallbackInfo& info);
  void Ref(const Napi::CallbackInfo&) { mailbox_->Ref(); }
  void Unref(const Napi::CallbackInfo&) { mailbox_->Unref(); }
  void Close(const Napi::CallbackInfo&) { mailbox_->Close(); }
  void Spin(const Napi::CallbackInfo& info);
  Napi::Value Wakeups(const Napi::CallbackInfo& info);

  std::shared_ptr<JsMailbox> mailbox_;
};

}  // namespace node_asgi::node

#endif  // NODE_ASGI_NODE_JS_MAILBOX_H_
