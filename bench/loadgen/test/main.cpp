#include "check.hpp"

namespace loadgen::test {

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

int& failures() {
  static int count = 0;
  return count;
}

}  // namespace loadgen::test

int main() {
  using namespace loadgen::test;
  for (const Case& one : cases()) {
    const int before = failures();
    one.run();
    std::printf("%s %s\n", failures() == before ? "ok    " : "FAILED", one.name);
  }
  std::printf("%zu cases, %d failures\n", cases().size(), failures());
  return failures() == 0 ? 0 : 1;
}
