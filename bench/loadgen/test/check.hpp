// The least of a test framework: named cases, checks that report and go on.
#pragma once

#include <cstdio>
#include <vector>

namespace loadgen::test {

struct Case {
  const char* name;
  void (*run)();
};

std::vector<Case>& cases();
int& failures();

struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

}  // namespace loadgen::test

#define TEST(name)                                                     \
  static void name();                                                  \
  static const ::loadgen::test::Register register_##name(#name, name); \
  static void name()

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      ++::loadgen::test::failures();                                      \
    }                                                                     \
  } while (false)
