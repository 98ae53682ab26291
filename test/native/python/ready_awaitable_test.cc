#include "python/ready_awaitable.h"

#include <gtest/gtest.h>

#include <deque>

#include "python/function.h"
#include "python_host.h"

namespace node_asgi::python {
namespace {

// A queue of numbers: taking waits while it is empty.
class Queue final : public bridge::RefCounted, public AwaitSource {
 public:
  Step Advance(const GilHeld& gil, int, Entry, Borrowed, Owned* out) override {
    if (items.empty()) {
      *out = test::StartedRuntime().loop().CreateFuture(gil);
      waiters.push_back(Owned::Borrow(*out));
      return Step::kWait;
    }
    *out = Owned::Steal(PyLong_FromLongLong(items.front()));
    items.pop_front();
    return Step::kReady;
  }
  void RefSource() override { (void)bridge::RefPtr<Queue>(this).ReleaseRaw(); }
  void UnrefSource() override { bridge::RefPtr<Queue>::AdoptRaw(this); }

  void Put(const GilHeld& gil, int item) {
    items.push_back(item);
    for (const Owned& waiter : std::exchange(waiters, {})) LoopThread::WakeFuture(gil, waiter);
  }
  std::deque<int> items;
  std::vector<Owned> waiters;
};

// main(take, put)
std::string RunWithQueue(const std::string& body) {
  return test::RunMain(
      "import asyncio\nasync def main(take, put):\n" + body, [](const GilHeld& gil) {
        const auto queue = bridge::MakeRef<Queue>();
        std::vector<Owned> arguments;
        arguments.push_back(MakeOperation(gil, *queue, 0, 0));
        arguments.push_back(MakeFunction(gil, [queue](const GilHeld& held, Borrowed numbers) {
          queue->Put(held, static_cast<int>(PyLong_AsLong(PyTuple_GetItem(numbers.get(), 0))));
          return Owned::Borrow(PyNone());
        }));
        return arguments;
      });
}

TEST(ReadyAwaitable, EndsAtOnceWhenItNeedNotWait) {
  EXPECT_EQ(RunWithQueue("  put(7)\n"
                         "  try: take().send(None)\n"
                         "  except StopIteration as stop: return stop.value\n"),
            "7");
}

TEST(ReadyAwaitable, WaitsAndIsWoken) {
  EXPECT_EQ(RunWithQueue("  asyncio.get_running_loop().call_later(0.01, put, 8)\n"
                         "  return await take()\n"),
            "8");
}

TEST(ReadyAwaitable, RunsAsATask) {
  EXPECT_EQ(RunWithQueue("  task = asyncio.create_task(take())\n"
                         "  await asyncio.sleep(0)\n"
                         "  put(9)\n"
                         "  return await task\n"),
            "9");
}

TEST(ReadyAwaitable, ACancelledWaiterLosesNothing) {
  EXPECT_EQ(RunWithQueue("  task = asyncio.create_task(take())\n"
                         "  await asyncio.sleep(0)\n"
                         "  put(1)\n"
                         "  task.cancel()\n"
                         "  try: await task\n"
                         "  except asyncio.CancelledError: pass\n"
                         "  return task.cancelled(), await take()\n"),
            "(True, 1)");
}

TEST(ReadyAwaitable, ATimeoutLosesNothing) {
  EXPECT_EQ(RunWithQueue("  try: await asyncio.wait_for(take(), 0.01)\n"
                         "  except asyncio.TimeoutError: put(2)\n"
                         "  return await asyncio.wait_for(take(), 1)\n"),
            "2");
}

TEST(ReadyAwaitable, TwoWaitersBothEndInOrder) {
  EXPECT_EQ(RunWithQueue("  tasks = [asyncio.create_task(take()) for _ in range(2)]\n"
                         "  await asyncio.sleep(0)\n"
                         "  put(1); put(2)\n"
                         "  return await asyncio.gather(*tasks)\n"),
            "[1, 2]");
}

TEST(ReadyAwaitable, AwaitingTwiceRaises) {
  EXPECT_EQ(RunWithQueue("  put(1)\n"
                         "  once = take()\n"
                         "  await once\n"
                         "  try: await once\n"
                         "  except RuntimeError as error: return 'twice' in str(error)\n"),
            "True");
}

TEST(ReadyAwaitable, ThrowBeforeItWaitsRaisesThere) {
  EXPECT_EQ(RunWithQueue("  try: take().throw(ValueError('x'))\n"
                         "  except ValueError as error: return str(error)\n"),
            "'x'");
}

TEST(ReadyAwaitable, SaysHowManyArgumentsItExpected) {
  EXPECT_EQ(RunWithQueue("  try: take(1)\n"
                         "  except TypeError as error: return str(error)\n"),
            "'expected 0 argument(s), got 1'");
}

TEST(ReadyAwaitable, TellsItsStateAsACoroutineDoes) {
  EXPECT_EQ(
      RunWithQueue("  import inspect, collections.abc\n"
                   "  waiting = take()\n"
                   "  task = asyncio.create_task(waiting)\n"
                   "  await asyncio.sleep(0)\n"
                   "  running, suspended = waiting.cr_running, waiting.cr_suspended\n"
                   "  put(1); await task\n"
                   "  return running, suspended, isinstance(waiting, collections.abc.Coroutine)\n"),
      "(False, True, True)");
}

}  // namespace
}  // namespace node_asgi::python
