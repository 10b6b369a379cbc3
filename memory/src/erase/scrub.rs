//! Overwrites the remains of a secret in registers and on the stack after use.
//!
//! glibc's `memcpy` and AES leave data in the vector registers, which a core dump contains.

use std::hint::black_box;

/// Bytes of dead stack that [`scrub_stack`] overwrites.
const DEPTH: usize = 64 * 1024;
/// Bytes left untouched at the low end of the stack, for the frames of the scrub itself and a
/// signal handler.
const RESERVE: usize = 16 * 1024;

/// Clears the vector registers of this thread, in about 4 ns.
///
/// On x86-64, it clears `ymm0` to `ymm15`, and `zmm16` to `zmm31` if the processor has them. On
/// aarch64, it clears `v0` to `v7` and `v16` to `v31`, which a callee may change; `v8` to `v15` are
/// not cleared. On other processors, it does nothing. Values that a caller saved on the stack stay
/// there: see [`scrub_stack`].
///
/// ```
/// # let password = bootseal_memory::Secret::copy_of(b"hunter2")?;
/// password.expose(|bytes| std::io::Write::write_all(&mut std::io::sink(), bytes)).ok();
/// bootseal_memory::scrub_registers();
/// # Ok::<(), bootseal_memory::MemoryError>(())
/// ```
#[inline(never)]
pub fn scrub_registers() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    x86_64();
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    aarch64();
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn x86_64() {
    // The standard library caches the processor's features: this is a load and a test.
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has these instructions; every register they change is named as
        // clobbered.
        unsafe {
            std::arch::asm!(
                "vzeroall",
                "vpxord zmm16, zmm16, zmm16",
                "vpxord zmm17, zmm17, zmm17",
                "vpxord zmm18, zmm18, zmm18",
                "vpxord zmm19, zmm19, zmm19",
                "vpxord zmm20, zmm20, zmm20",
                "vpxord zmm21, zmm21, zmm21",
                "vpxord zmm22, zmm22, zmm22",
                "vpxord zmm23, zmm23, zmm23",
                "vpxord zmm24, zmm24, zmm24",
                "vpxord zmm25, zmm25, zmm25",
                "vpxord zmm26, zmm26, zmm26",
                "vpxord zmm27, zmm27, zmm27",
                "vpxord zmm28, zmm28, zmm28",
                "vpxord zmm29, zmm29, zmm29",
                "vpxord zmm30, zmm30, zmm30",
                "vpxord zmm31, zmm31, zmm31",
                clobber_abi("C"),
                options(nomem, nostack, preserves_flags)
            );
        }
    } else if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has the instruction; `clobber_abi` names every vector register.
        unsafe {
            std::arch::asm!("vzeroall", clobber_abi("C"), options(nomem, nostack, preserves_flags))
        }
    } else {
        // SAFETY: SSE2 is part of x86-64; the `out` operands name every register changed.
        unsafe {
            std::arch::asm!(
                "xorps xmm0, xmm0",
                "xorps xmm1, xmm1",
                "xorps xmm2, xmm2",
                "xorps xmm3, xmm3",
                "xorps xmm4, xmm4",
                "xorps xmm5, xmm5",
                "xorps xmm6, xmm6",
                "xorps xmm7, xmm7",
                "xorps xmm8, xmm8",
                "xorps xmm9, xmm9",
                "xorps xmm10, xmm10",
                "xorps xmm11, xmm11",
                "xorps xmm12, xmm12",
                "xorps xmm13, xmm13",
                "xorps xmm14, xmm14",
                "xorps xmm15, xmm15",
                // The names matter on Windows, where a caller expects xmm6 to xmm15 back.
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                options(nomem, nostack, preserves_flags)
            );
        }
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
fn aarch64() {
    // The lower halves of v8–v15 are callee-saved (AAPCS64 6.1.2): if they were cleared here, this
    // function would only restore them on return. Their upper halves are not cleared either.
    // SAFETY: Advanced SIMD is part of every aarch64 target with the standard library;
    // `clobber_abi` names every register changed.
    unsafe {
        std::arch::asm!(
            "movi v0.2d, #0",
            "movi v1.2d, #0",
            "movi v2.2d, #0",
            "movi v3.2d, #0",
            "movi v4.2d, #0",
            "movi v5.2d, #0",
            "movi v6.2d, #0",
            "movi v7.2d, #0",
            "movi v16.2d, #0",
            "movi v17.2d, #0",
            "movi v18.2d, #0",
            "movi v19.2d, #0",
            "movi v20.2d, #0",
            "movi v21.2d, #0",
            "movi v22.2d, #0",
            "movi v23.2d, #0",
            "movi v24.2d, #0",
            "movi v25.2d, #0",
            "movi v26.2d, #0",
            "movi v27.2d, #0",
            "movi v28.2d, #0",
            "movi v29.2d, #0",
            "movi v30.2d, #0",
            "movi v31.2d, #0",
            clobber_abi("C"),
            options(nomem, nostack, preserves_flags)
        );
    }
}

/// Overwrites the dead part of this thread's stack, up to 64 KiB below the caller, in about 3 µs.
/// Returns the number of bytes.
///
/// Near the end of a small stack it overwrites less, down to nothing: 16 KiB are always left. If
/// the end is not known (on systems other than Linux), it overwrites 4 KiB.
///
/// ```
/// fn handle(password: &bootseal_memory::Secret) -> usize {
///     password.expose(|bytes| bytes.len()) // the functions it called left remnants on the stack
/// }
/// # let password = bootseal_memory::Secret::copy_of(b"hunter2")?;
/// handle(&password);
/// assert!(bootseal_memory::scrub_stack() <= 64 * 1024);
/// # Ok::<(), bootseal_memory::MemoryError>(())
/// ```
#[inline(never)]
pub fn scrub_stack() -> usize {
    let here = black_box(&mut 0_u8) as *mut u8 as usize;
    let free = match lowest_address() {
        Some(lowest) => here.saturating_sub(lowest).saturating_sub(RESERVE),
        None => 4096,
    };
    // One frame per step, each below the last, so that the depth can be chosen at run time.
    let steps = free.min(DEPTH) / STEP;
    descend(steps);
    steps * STEP
}

const STEP: usize = 4096;

/// One frame of zeros, and the next below it.
#[inline(never)]
fn descend(steps: usize) {
    if steps == 0 {
        return;
    }
    let mut frame = [0_u8; STEP];
    black_box(&mut frame);
    descend(steps - 1);
    // Prevents tail-call optimisation, which would reuse one stack frame.
    black_box(&mut frame);
}

/// The lowest address that this thread's stack may reach; cached per thread, because the lookup
/// takes 20 µs on the main thread.
#[cfg(all(target_os = "linux", not(miri)))]
fn lowest_address() -> Option<usize> {
    thread_local!(static LOWEST: Option<usize> = ask_for_lowest_address());
    LOWEST.try_with(|lowest| *lowest).ok().flatten()
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn lowest_address() -> Option<usize> {
    None
}

#[cfg(all(target_os = "linux", not(miri)))]
fn ask_for_lowest_address() -> Option<usize> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut address, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: the calls only write through the pointers given; `attributes` is initialised by the
    // first and destroyed exactly once.
    let known = unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let got = libc::pthread_attr_getstack(attributes.as_ptr(), &mut address, &mut size) == 0
            && libc::pthread_attr_getguardsize(attributes.as_ptr(), &mut guard) == 0;
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        got
    };
    // Old versions of glibc include the guard in the reported stack.
    known.then(|| (address as usize).saturating_add(guard))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn the_vector_registers_are_zero_afterwards() {
        if !std::arch::is_x86_feature_detected!("avx") {
            return;
        }
        let mut seen = [0xFF_u8; 64];
        let filled = [0xA5_u8; 32];
        // SAFETY: the processor has AVX; registers and memory that change are named; without
        // `nostack`, the compiler aligns the stack and keeps the red zone free.
        unsafe {
            std::arch::asm!(
                "vmovdqu ymm3, [r12]",
                "vmovdqu ymm15, [r12]",
                "call {scrub}",
                "vmovdqu [r13], ymm3",
                "vmovdqu [r13 + 32], ymm15",
                // Registers that the call preserves.
                in("r12") filled.as_ptr(),
                in("r13") seen.as_mut_ptr(),
                scrub = sym scrub_c,
                clobber_abi("C"),
            );
        }
        assert_eq!(seen, [0; 64]);
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    extern "C" fn scrub_c() {
        scrub_registers();
    }

    /// Leaves a pattern on the stack below its caller, and returns the address.
    #[inline(never)]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn leave_something(fill: u8) -> usize {
        let mut left = [fill; 3000];
        black_box(&mut left).as_ptr() as usize
    }

    #[test]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn the_remains_of_a_function_on_the_stack_are_overwritten() {
        use std::os::unix::fs::FileExt;
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        // Another thread reads, because reading would overwrite the dead stack of this thread.
        let left_at = |address: usize| {
            std::thread::scope(|scope| {
                let read = scope.spawn(|| {
                    let mut bytes = vec![0; 3000];
                    memory.read_exact_at(&mut bytes, address as u64).unwrap();
                    bytes.iter().filter(|byte| **byte == 0xA5).count()
                });
                read.join().unwrap()
            })
        };
        // Deep enough that later calls do not overwrite it.
        #[inline(never)]
        fn deep(fill: u8) -> usize {
            let mut room = [0_u8; 30_000];
            black_box(&mut room);
            let address = leave_something(fill);
            black_box(&mut room);
            address
        }
        let address = deep(0xA5);
        assert!(left_at(address) > 2000);
        assert_eq!(scrub_stack(), DEPTH);
        assert_eq!(left_at(address), 0);
    }

    #[test]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn the_scrub_stops_before_the_end_of_a_small_stack() {
        for size in [16, 32, 64, 128, 1024] {
            let thread = std::thread::Builder::new().stack_size(size * 1024).spawn(|| {
                // Calls itself ever deeper, until little of the stack is left.
                fn deeper() -> usize {
                    let mut frame = [0_u8; 2048];
                    black_box(&mut frame);
                    let scrubbed = scrub_stack();
                    if scrubbed > 0 { scrubbed.max(deeper()) } else { 0 }
                }
                deeper()
            });
            let scrubbed = thread.unwrap().join().unwrap();
            assert!(scrubbed <= (size * 1024).min(DEPTH), "{scrubbed} of {size} KiB");
            assert_eq!(scrubbed == 0, size < 32, "{scrubbed} of {size} KiB");
        }
    }
}
