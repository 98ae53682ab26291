// One call of the app on the Python side: its task, and what receive() and send() of every protocol
// have in common.
// Thread: the Python thread. Owner: the exchange, and the app's receive and send while it keeps
// them. Teardown: OnAppEnded drops the task and the exchange's reference; the rest goes with the
// app's last reference.
#ifndef NODE_ASGI_ASGI_CYCLE_H_
#define NODE_ASGI_ASGI_CYCLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "asgi/app_task.h"
#include "bridge/exchange.h"
#include "python/loop_thread.h"
#include "python/ready_awaitable.h"

namespace node_asgi::asgi {

class Cycle;

// What a cycle needs from the application that it belongs to. It is the peer of an exchange until
// it has made the exchange's cycle.
class CycleHost : public bridge::ExchangePeer {
 public:
  virtual python::LoopThread& loop() = 0;
  virtual size_t high_water_mark() const = 0;
  // False: send() after the client left is ignored instead of raising (spec_version 2.3).
  virtual bool raises_after_disconnect() const = 0;
  // Milliseconds from a client's disconnect to the cancellation of its task; below zero: never.
  virtual int cancel_on_disconnect() const = 0;
  // Whether this turn of the loop has no other request to answer.
  virtual bool alone() const = 0;
  virtual void OnCycleEnded(const python::GilHeld& gil, Cycle& cycle) = 0;
  // The request ends without a whole response.
  virtual void OnCycleFailed() = 0;
  // An exception or protocol error that no caller is waiting for any more.
  virtual void Report(const std::string& level, bridge::Failure failure) = 0;
};

// Makes the exception class ClientDisconnected and the types behind app tasks. Once, after the
// interpreter started.
bool PrepareCycles(const python::GilHeld& gil);

class Cycle : public bridge::ExchangePeer, public python::AwaitSource, public AppTaskOwner {
 public:
  // Starts the app. False with a Python error set, when not even its task could be made.
  bool Start(const python::GilHeld& gil, python::Borrowed app, python::Owned scope);

  // For the close of an application, in this order: the app is told that its client is gone; its
  // task is cancelled; the caller gets its answer although the app goes on.
  virtual void Close(const python::GilHeld& gil) = 0;
  void Cancel(const python::GilHeld& gil);
  void Abandon(const python::GilHeld& gil);
  // Whether it goes on until somebody closes it, as a WebSocket does.
  virtual bool endless() const { return false; }

  // Its host's: where it stands among the host's cycles.
  static constexpr size_t kNowhere = SIZE_MAX;
  size_t place = kNowhere;

 protected:
  Cycle(bridge::RefPtr<CycleHost> host, bridge::RefPtr<bridge::Exchange> exchange);

  // What receive() and send() do; see AwaitSource::Advance.
  virtual Step Receive(const python::GilHeld& gil, Entry entry, python::Owned* out) = 0;
  virtual Step Send(const python::GilHeld& gil, Entry entry, python::Borrowed message,
                    python::Owned* out) = 0;
  // The app's task has ended. `expected`: the exception comes from the client's leaving, which is
  // nobody's error.
  virtual void Finish(const python::GilHeld& gil, python::Borrowed exception, bool expected) = 0;
  // Whether the client has left, or the exchange was cancelled.
  virtual bool client_left() const = 0;

  // Suspends until one of the waiters is woken.
  Step Wait(const python::GilHeld& gil, std::vector<python::Owned>* waiters, python::Owned* out);
  static void WakeAll(const python::GilHeld& gil, std::vector<python::Owned>* waiters);
  void WakeEverybody(const python::GilHeld& gil);
  // send() with nobody to send to.
  Step SendNowhere(const python::GilHeld& gil, Entry entry, python::Owned* out);
  Step YieldOnce(const python::GilHeld& gil, python::Owned* out);
  // Starts the countdown of cancelOnDisconnect.
  void CancelLater(const python::GilHeld& gil);

  void Post(bridge::ResponseEvent event, bridge::ResponseSink::Urgency urgency);
  // The caller hears of the failure instead of a response.
  void Fail(bridge::Failure failure);

  CycleHost& host() { return *host_; }
  bridge::Exchange* exchange() { return exchange_.get(); }

  std::vector<python::Owned> receive_waiters_;
  std::vector<python::Owned> send_waiters_;
  bool caller_waits_ = false;  // closed by this side, so the caller still has to hear of it

 private:
  enum Operation { kReceive, kSend };

  Step Advance(const python::GilHeld& gil, int operation, Entry entry, python::Borrowed argument,
               python::Owned* out) override;
  void RefSource() override { (void)bridge::RefPtr<Cycle>(this).ReleaseRaw(); }
  void UnrefSource() override { bridge::RefPtr<Cycle>::AdoptRaw(this); }
  void RefOwner() override { (void)bridge::RefPtr<Cycle>(this).ReleaseRaw(); }
  void UnrefOwner() override { bridge::RefPtr<Cycle>::AdoptRaw(this); }
  void OnAppSuspended(const python::GilHeld&) override {}
  void OnAppEnded(const python::GilHeld& gil, python::Owned result,
                  python::Owned exception) override;

  const bridge::RefPtr<CycleHost> host_;
  bridge::RefPtr<bridge::Exchange> exchange_;
  python::Owned task_;
};

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_CYCLE_H_
