/* launch.c: what libhl-rt alone does: devices, buffers, copies. */
#include <hl/runtime.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  hl_diag diag = {0};
  hl_context *ctx = NULL;
  hl_device *cpu = NULL;
  hl_buffer *buffer = NULL;
  char back[5] = "";
  hl_status s = hl_context_create(NULL, &diag, &ctx);
  if (s == HL_OK)
    s = hl_device_open(ctx, "cpu", &diag, &cpu);
  if (s == HL_OK)
    s = hl_buffer_create(cpu, 4096, &diag, &buffer);
  if (s == HL_OK)
    s = hl_buffer_write(buffer, 8, "text", 5, NULL, &diag);
  if (s == HL_OK)
    s = hl_buffer_read(buffer, 8, back, 5, NULL, &diag);
  if (s == HL_OK)
    s = hl_device_synchronize(cpu, &diag);
  hl_buffer_destroy(buffer);
  hl_device_close(cpu);
  hl_context_destroy(ctx);
  if (s != HL_OK || strcmp(back, "text") != 0) {
    fprintf(stderr, "%s: %s\n", hl_status_text(s), diag.message);
    return 1;
  }
  printf("text, by libhl %s\n", hl_version());
  return 0;
}
