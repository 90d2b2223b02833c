// For self-contained programs. lld pulls in LLVM's link-time optimisation,
// which names the optional optimiser Polly and every back end that LLVM was
// built with. Nothing here uses them, so these stand in.
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Plugins/PassPlugin.h>

llvm::PassPluginLibraryInfo getPollyPluginInfo();
llvm::PassPluginLibraryInfo getPollyPluginInfo() {
  llvm::PassPluginLibraryInfo info = {};
  info.APIVersion = LLVM_PLUGIN_API_VERSION;
  info.PluginName = "none";
  info.PluginVersion = "0";
  info.RegisterPassBuilderCallbacks = [](llvm::PassBuilder &) {};
  return info;
}

// lld initialises every back end; those that are left out have nothing to initialise.
#define HL_NO_TARGET(name)    \
  extern "C" void name(void); \
  extern "C" void name(void) {}
#include "left_out_targets.inc"
