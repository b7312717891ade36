// What one environment (the main thread or one worker) holds. It is instance data: two workers never share
// it, and it goes when the environment ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "netns.h"

struct AddonData {
  /** Index + 1 is the handle that JS holds; handle 0 is the process's own namespace. */
  std::vector<std::unique_ptr<NetnsThread>> namespaces;
};
