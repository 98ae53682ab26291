// The sanitizers' options, built in so that a target run by hand behaves as in scripts/fuzz.js.
// The environment variables ASAN_OPTIONS, UBSAN_OPTIONS and LSAN_OPTIONS still override them.

extern "C" {

const char* __asan_default_options() {
  // What is freed is filled, so that libpython, which has no checks built in, falls over it too.
  return "detect_stack_use_after_return=1:strict_string_checks=1:detect_leaks=1:"
         "max_free_fill_size=4096:free_fill_byte=254";
}

const char* __ubsan_default_options() { return "print_stacktrace=1:halt_on_error=1"; }

// Leaks that CPython allocated are suppressed, because it is never finalised: a lost Python
// reference is what the targets count themselves, and LeakSanitizer sees the rest.
const char* __lsan_default_options() {
  return "suppressions=" NODE_ASGI_SOURCE_DIR
         "/test/native/sanitizers/lsan.supp:print_suppressions=0";
}
}
