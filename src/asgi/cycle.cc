#include "asgi/cycle.h"

#include <utility>

#include "bridge/trace.h"
#include "python/call.h"
#include "python/error.h"
#include "python/function.h"
#include "python/interned.h"

namespace node_asgi::asgi {

using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API
using bridge::Failure;
using bridge::ResponseEvent;
using Urgency = bridge::ResponseSink::Urgency;

namespace {

PyObject* client_disconnected = nullptr;  // node_asgi.disconnect.ClientDisconnected
PyObject* is_about_disconnect = nullptr;  // node_asgi.disconnect.is_about_disconnect

}  // namespace

bool PrepareCycles(const GilHeld& gil) {
  const Owned module = Owned::Steal(PyImport_ImportModule("node_asgi.disconnect"));
  if (!module) return false;
  client_disconnected = GetAttribute(gil, module, "ClientDisconnected").Release();
  is_about_disconnect = GetAttribute(gil, module, "is_about_disconnect").Release();
  return client_disconnected != nullptr && is_about_disconnect != nullptr && DefineAppTask(gil);
}

Cycle::Cycle(bridge::RefPtr<CycleHost> host, bridge::RefPtr<bridge::Exchange> exchange)
    : ExchangePeer(Threads::kOne), host_(std::move(host)), exchange_(std::move(exchange)) {}

bool Cycle::Start(const GilHeld& gil, Borrowed app, Owned scope) {
  Owned receive = MakeOperation(gil, *this, kReceive, 0);
  Owned send = MakeOperation(gil, *this, kSend, 1);
  if (!receive || !send) return false;
  const Owned coroutine =
      MakeAppTask(gil, *this, app, std::move(scope), std::move(receive), std::move(send));
  if (!coroutine) return false;
  bridge::Trace(bridge::Stage::kScheduled);
  Owned task = host_->loop().CreateTask(gil, coroutine);
  if (!task) return false;
  // An eager task may have ended already; OnAppEnded must not be followed by a reference to it.
  if (exchange_) task_ = std::move(task);
  return true;
}

AwaitSource::Step Cycle::Advance(const GilHeld& gil, int operation, Entry entry, Borrowed argument,
                                 Owned* out) {
  return operation == kReceive ? Receive(gil, entry, out) : Send(gil, entry, argument, out);
}

void Cycle::Cancel(const GilHeld& gil) {
  if (task_ && !CallMethod(gil, task_, Names().cancel)) PyErr_WriteUnraisable(task_.get());
}

void Cycle::CancelLater(const GilHeld& gil) {
  const int delay = host_->cancel_on_disconnect();
  if (delay < 0 || !task_) return;
  const bridge::RefPtr<Cycle> self(this);
  const Owned cancel = MakeFunction(gil, [self](const GilHeld& held, Borrowed) {
    self->Cancel(held);
    return Owned::Borrow(PyNone());
  });
  if (!cancel || !host_->loop().CallLater(gil, delay / 1000.0, cancel)) PyErr_Clear();
}

void Cycle::Abandon(const GilHeld&) {
  if (!std::exchange(caller_waits_, false)) return;
  Fail({"ERR_ASGI_CLOSED", "the handler was closed before the app had answered"});
}

AwaitSource::Step Cycle::Wait(const GilHeld& gil, std::vector<Owned>* waiters, Owned* out) {
  *out = host_->loop().CreateFuture(gil);
  if (!*out) return Step::kError;
  waiters->push_back(Owned::Borrow(*out));
  return Step::kWait;
}

void Cycle::WakeAll(const GilHeld& gil, std::vector<Owned>* waiters) {
  std::vector<Owned> woken;
  woken.swap(*waiters);
  for (const Owned& future : woken) LoopThread::WakeFuture(gil, future);
}

void Cycle::WakeEverybody(const GilHeld& gil) {
  WakeAll(gil, &receive_waiters_);
  WakeAll(gil, &send_waiters_);
}

AwaitSource::Step Cycle::SendNowhere(const GilHeld& gil, Entry entry, Owned* out) {
  if (host_->raises_after_disconnect()) {
    Raise(gil, client_disconnected, "the client has left: nothing more can be sent");
    return Step::kError;
  }
  if (entry == Entry::kFirst) return YieldOnce(gil, out);
  *out = Owned::Borrow(PyNone());
  return Step::kReady;
}

// So that an app that loops over a call which no longer waits for anything cannot starve the loop.
AwaitSource::Step Cycle::YieldOnce(const GilHeld& gil, Owned* out) {
  *out = host_->loop().CreateFuture(gil);
  const bool woken = *out && CallFunction(gil, "node_asgi.loop", "wake_soon", {out->get()});
  return woken ? Step::kWait : Step::kError;
}

void Cycle::Post(ResponseEvent event, Urgency urgency) {
  if (exchange_) exchange_->Post(std::move(event), urgency);
}

void Cycle::Fail(Failure failure) {
  host_->OnCycleFailed();
  ResponseEvent event{ResponseEvent::Kind::kFailed};
  event.failure = std::make_unique<Failure>(std::move(failure));
  Post(std::move(event), Urgency::kNow);
}

void Cycle::OnAppEnded(const GilHeld& gil, Owned result, Owned exception) {
  bool expected = false;
  if (exception && client_left()) {
    const Owned about = Call(gil, is_about_disconnect, {exception.get()});
    if (!about) PyErr_Clear();
    expected = about && PyObject_IsTrue(about.get()) == 1;
  }
  Finish(gil, exception, expected);
  if (!exception && result && result.get() != PyNone()) {
    const Owned type = Owned::Steal(PyObject_Type(result.get()));
    host_->Report("warning",
                  {"ERR_ASGI_RETURN_VALUE", "expected the app to return None, got " +
                                                TextOf(gil, GetAttribute(gil, type, "__name__"))});
  }
  Abandon(gil);
  WakeEverybody(gil);
  const bridge::RefPtr<Cycle> self(this);
  host_->OnCycleEnded(gil, *this);
  task_.Reset();
  if (exchange_) exchange_->set_peer(nullptr);
  exchange_ = nullptr;
}

}  // namespace node_asgi::asgi
