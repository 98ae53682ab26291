#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "python/function.h"
#include "python/interpreter.h"
#include "python/library.h"
#include "python_host.h"

namespace node_asgi::python {
namespace {

using test::OnPython;
using test::RunMain;

TEST(Library, NamesEveryCandidateThatWouldNotDo) {
  const std::string text = ::testing::TempDir() + "not_a_library.so";
  std::ofstream(text) << "text";
  LibraryInfo info;
  bridge::Failure failure;
  EXPECT_FALSE(LoadLibrary({"/nowhere/libpython.so", text}, "3.11.2", true, &info, &failure));
  EXPECT_EQ(failure.code, "ERR_PYTHON_LIBRARY");
  EXPECT_NE(failure.message.find("/nowhere/libpython.so"), std::string::npos) << failure.message;
  EXPECT_NE(failure.message.find(text), std::string::npos) << failure.message;
}

TEST(Library, RefusesAnotherVersion) {
  const InterpreterConfig found = test::FindPython();
  LibraryInfo info;
  bridge::Failure failure;
  EXPECT_FALSE(LoadLibrary(found.libraries, "3.99.0", true, &info, &failure));
  EXPECT_NE(failure.message.find("expected 3.99.0"), std::string::npos) << failure.message;
}

TEST(Interpreter, RunsAsTheMainThreadInUtf8WithItsOwnExecutable) {
  EXPECT_EQ(RunMain("import sys, threading\n"
                    "async def main():\n"
                    "  same = threading.current_thread() is threading.main_thread()\n"
                    "  return same, sys.flags.utf8_mode, sys.getfilesystemencoding()\n"),
            "(True, 1, 'utf-8')");
}

TEST(Interpreter, ASecondPythonInTheProcessIsRefusedByName) {
  host::Runtime& runtime = test::StartedRuntime();
  InterpreterConfig other = test::FindPython();
  other.program_name = "/another/venv/bin/python";
  bridge::Failure failure;
  EXPECT_FALSE(runtime.Start(other, &failure));
  EXPECT_EQ(failure.code, "ERR_PYTHON_MISMATCH");
  EXPECT_NE(failure.message.find("/another/venv/bin/python"), std::string::npos);
}

TEST(SignalGuard, GivesBackWhatPythonTook) {
  struct sigaction mine {};
  mine.sa_handler = [](int) {};
  sigaction(SIGUSR1, &mine, nullptr);
  OnPython([](const GilHeld& gil) {
    SignalGuard guard;
    const Owned number = Owned::Steal(PyLong_FromLongLong(SIGUSR1));
    const Owned handler =
        MakeFunction(gil, [](const GilHeld&, Borrowed) { return Owned::Borrow(PyNone()); });
    ASSERT_TRUE(CallFunction(gil, "signal", "signal", {number.get(), handler.get()}));
    EXPECT_EQ(guard.Restore(), std::vector<int>{SIGUSR1});
  });
  struct sigaction now {};
  sigaction(SIGUSR1, nullptr, &now);
  EXPECT_EQ(now.sa_handler, mine.sa_handler);
}

TEST(Error, DescribesTypeMessageAndTraceback) {
  OnPython([](const GilHeld& gil) {
    EXPECT_FALSE(CallFunction(gil, "json", "loads", {Text(gil, "{").get()}));
    const bridge::Failure failure = TakeFailure(gil, "ERR_TEST");
    EXPECT_EQ(failure.code, "ERR_TEST");
    EXPECT_EQ(failure.python_type, "json.decoder.JSONDecodeError");
    EXPECT_NE(failure.traceback.find("Traceback"), std::string::npos);
    EXPECT_NE(failure.details.find("\"frames\""), std::string::npos);
  });
}

TEST(Error, SurvivesAnExceptionThatCannotDescribeItself) {
  const std::string text = RunMain(
      "class Bad(Exception):\n"
      "  def __str__(self): raise ValueError('no')\n"
      "from node_asgi.errors import describe\n"
      "async def main():\n"
      "  return describe(Bad())[:2]\n");
  EXPECT_NE(text.find("__str__ raised ValueError"), std::string::npos) << text;
}

TEST(Function, ACppExceptionBecomesAPythonError) {
  const std::string text = RunMain(
      "async def main(function):\n"
      "  try: function()\n"
      "  except RuntimeError as error: return str(error)\n",
      [](const GilHeld& gil) {
        std::vector<Owned> arguments;
        arguments.push_back(MakeFunction(
            gil, [](const GilHeld&, Borrowed) -> Owned { throw std::runtime_error("from C++"); }));
        return arguments;
      });
  EXPECT_EQ(text, "'from C++'");
}

TEST(LoopThread, SurvivesAppsThatTryToEndIt) {
  RunMain(
      "import asyncio\n"
      "async def stray(): raise SystemExit(3)\n"
      "async def main():\n"
      "  asyncio.ensure_future(stray())\n"
      "  asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)\n");
  EXPECT_EQ(RunMain("async def main(): return 'alive'\n"), "'alive'");
}

TEST(LoopThread, AControlCallThatRaisesKeepsItsTraceback) {
  const std::string text = RunMain("async def main(): raise KeyboardInterrupt('x')\n");
  EXPECT_NE(text.find("KeyboardInterrupt: x"), std::string::npos) << text;
  EXPECT_EQ(RunMain("async def main(): return 1\n"), "1");
}

}  // namespace
}  // namespace node_asgi::python
