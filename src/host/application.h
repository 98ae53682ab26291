// One loaded app with its lifespan. Requests wait here until its startup has completed.
// Thread: members that take a GilHeld the Python thread; the counters any.
// Owner: the JavaScript handler and the app's exchanges, by reference count; destroyed on any
// thread after Unload.
#ifndef NODE_ASGI_HOST_APPLICATION_H_
#define NODE_ASGI_HOST_APPLICATION_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "asgi/cycle.h"
#include "asgi/scope.h"
#include "bridge/exchange.h"
#include "host/runtime.h"
#include "python/interpreter.h"

namespace node_asgi::host {

struct ApplicationOptions {
  uint32_t id = 0;  // the handler's number in its environment, for notices
  std::string target;
  bool fresh = false;  // whether the modules of docroot are imported anew
  bool logs = false;   // whether the records of Python's logging are reported, with the level 'log'
  std::string docroot;
  std::string lifespan = "auto";     // 'auto', 'on', 'off'
  std::string spec_version = "2.5";  // '2.5' or '2.3'
  size_t high_water_mark = 262144;   // bytes
  int cancel_on_disconnect = -1;     // milliseconds; below zero: never
  size_t max_concurrency = 0;        // 0: no cap
  int start_timeout = 0;             // milliseconds; 0: none
  int response_timeout = 0;          // milliseconds; 0: none
};

class Application final : public asgi::CycleHost {
 public:
  // `sink` hears of errors that belong to no request.
  Application(Runtime& runtime, ApplicationOptions options,
              std::shared_ptr<bridge::ResponseSink> sink);
  ~Application() override = default;

  const ApplicationOptions& options() const { return options_; }
  Runtime& runtime() { return runtime_; }

  // Imports the app and runs lifespan startup; `done` gets null or what went wrong. Once.
  void Load(const python::GilHeld& gil, std::function<void(const bridge::Failure*)> done);
  // Refuses new requests, lets those in flight end, runs lifespan shutdown and lets go of the app,
  // all within `timeout`. `done` gets a report as JSON. A second call gets the same report.
  void Stop(const python::GilHeld& gil, std::chrono::milliseconds timeout,
            std::function<void(const python::GilHeld&, std::string)> done);

  // asgi::CycleHost and bridge::ExchangePeer.
  void On(const python::GilHeld& gil, bridge::Exchange& exchange,
          bridge::RequestEvent event) override;
  void OnRefused() override;
  python::LoopThread& loop() override { return runtime_.loop(); }
  size_t high_water_mark() const override { return options_.high_water_mark; }
  bool raises_after_disconnect() const override { return options_.spec_version != "2.3"; }
  int cancel_on_disconnect() const override { return options_.cancel_on_disconnect; }
  bool alone() const override { return cycles_.size() <= 1 && !runtime_.loop().has_more(); }
  void OnCycleEnded(const python::GilHeld& gil, asgi::Cycle& cycle) override;
  void OnCycleFailed() override { failed.fetch_add(1); }
  void Report(const std::string& level, bridge::Failure failure) override;

  // Any thread.
  // Requests so far, those that wait for startup included. The JavaScript thread counts them in and
  // the Python thread out, each on a cache line of its own: with one counter each request cost both
  // of them a wait for the other's line.
  alignas(bridge::kCacheLine) std::atomic<uint64_t> admitted{0};
  std::atomic<bool> closing{false};
  alignas(bridge::kCacheLine) std::atomic<uint64_t> ended{0};
  std::atomic<uint64_t> failed{0};
  size_t in_flight() const {
    const uint64_t out = ended.load();  // first, so that it cannot be the greater
    return static_cast<size_t>(admitted.load() - out);
  }

 private:
  enum class State { kNew, kLoading, kReady, kFailed, kStopping, kStopped };

  bool FinishLoad(const python::GilHeld& gil, python::Borrowed loaded);
  void EndLoad(const python::GilHeld& gil, const bridge::Failure* failure);
  void Begin(const python::GilHeld& gil, const bridge::RefPtr<bridge::Exchange>& exchange);
  bridge::RefPtr<asgi::Cycle> MakeCycle(const bridge::RefPtr<bridge::Exchange>& exchange,
                                        const bridge::RequestHead& head);
  void Admit(const python::GilHeld& gil, const bridge::RefPtr<bridge::Exchange>& exchange);
  void Refuse(bridge::Exchange& exchange, bridge::Failure failure);
  // False when it is not among them any more.
  bool Forget(asgi::Cycle& cycle);
  std::vector<bridge::RefPtr<asgi::Cycle>> Cycles() const;
  void FinishStop(const python::GilHeld& gil, const std::string& report);

  // A line away from the count of references, which the Python thread writes at every request.
  alignas(bridge::kCacheLine) Runtime& runtime_;
  const ApplicationOptions options_;
  const std::shared_ptr<bridge::ResponseSink> sink_;

  // Python thread.
  State state_ = State::kNew;
  bridge::Failure load_failure_;
  std::string stop_report_;
  asgi::ScopeBuilder scopes_;
  python::Owned app_;
  python::Owned calls_;  // node_asgi.calls.app
  python::Owned lifespan_;
  std::vector<bridge::RefPtr<bridge::Exchange>> waiting_;  // for startup
  std::vector<asgi::Cycle*> cycles_;                       // each knows its place
  std::vector<std::function<void(const bridge::Failure*)>> load_callbacks_;
  std::vector<std::function<void(const python::GilHeld&, std::string)>> stop_callbacks_;
  std::unique_ptr<python::SignalGuard> signals_;
  bridge::RefPtr<Application> keep_alive_;  // while loaded
};

}  // namespace node_asgi::host

#endif  // NODE_ASGI_HOST_APPLICATION_H_
