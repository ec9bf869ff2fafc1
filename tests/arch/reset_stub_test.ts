import { assertEquals } from "@std/assert";
import { resetStub } from "../../src/arch/x86_64/reset_stub.ts";

Deno.test("resetStub() writes 1 to the ACPI reset port 0x602 and fits behind the reset vector", () => {
  const { address, bytes } = resetStub();
  assertEquals(address, 0xffff0);
  // mov dx, 0x602; mov al, 1; out dx, al; hlt; jmp $-1
  assertEquals([...bytes], [0xba, 0x02, 0x06, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfd]);
});
