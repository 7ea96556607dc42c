// Runs the probes of three translation units in one program and compares what they saw.
#undef ALIDADE_ARCH
#include <alidade/alidade.hpp>
#include <cstdio>
#include <string_view>

#include "probe.hpp"

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::printf("failed: %s\n", what);
    ++failures;
  }
}

}  // namespace

int main() {
  const probe_result scalar = probe_scalar();
  const probe_result detected = probe_detected();
  const probe_result asserting = probe_asserting();
  const std::string_view here = alidade::arch_name();

  check(scalar.arch == std::string_view("scalar"), "the scalar unit runs scalar code");
  check(detected.arch == here, "the detected unit runs the detected architecture");
  check(asserting.arch == here, "the asserting unit runs the detected architecture");
  check(here == "scalar" || scalar.category != detected.category, "architectures do not share code");
  check(detected.category != asserting.category, "assert modes do not share code");
  check(scalar.violations_seen == 0 && detected.violations_seen == 0,
        "no assertions where NDEBUG is defined");
  check(asserting.violations_seen == 1,
        "the replaced assertion sees its own unit's violation, and only that");
  for (const probe_result& probe : {scalar, detected, asserting}) {
    check(probe.nearest == 11 && probe.distance == 0.0F, "a row is its own nearest neighbour");
  }

  std::printf("%s: scalar and %s in one program\n", failures == 0 ? "passed" : "FAILED",
              alidade::arch_name());
  return failures == 0 ? 0 : 1;
}
