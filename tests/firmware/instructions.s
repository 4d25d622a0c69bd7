@ Instructions of a Cortex-M55, sorted by hand into the kinds that the cycle estimate knows.
@ test_classify.py assembles this file; `@ kind` holds for the lines below it.
    .syntax unified
    .thumb
@ mve_load_store
    vldrb.8 q0, [r0], #16
    vldrb.s16 q0, [r0]
    vldrb.u32 q0, [r0, #4]
    vldrw.32 q0, [r1, q2]
    vldrh.s32 q1, [r2, q3, uxtw #1]
    vldrw.u32 q0, [q1, #16]
    vstrb.8 q0, [r0, #16]!
    vstrw.32 q3, [r1, q2, uxtw #2]
    vstrb.16 q0, [r0]
    vld20.8 {q0, q1}, [r0]
    vld43.32 {q0, q1, q2, q3}, [r0]!
    vst21.16 {q0, q1}, [r3]!
@ mve_mac
    vmladav.s8 r0, q0, q1
    vmladava.s8 r0, q0, q1
    vmladava.u8 r2, q0, q1
    vmladavax.s16 r2, q0, q1
    vmladav.s32 r4, q7, q6
    vmladav.u16 r4, q7, q6
    vmlsdava.s8 r2, q3, q1
    vmlsdavx.s16 r2, q3, q1
    vmlaldav.s16 r0, r1, q0, q1
    vmlaldava.s32 r2, r3, q0, q1
    vmlaldav.u32 r2, r5, q0, q1
    vmlsldav.s16 r0, r1, q0, q1
    vrmlaldavh.s32 r0, r1, q0, q1
    vrmlaldavha.u32 r2, r7, q0, q1
    vrmlsldavh.s32 r2, r7, q0, q1
@ mve_other
    vaddv.s8 r0, q1
    vaddva.u32 r0, q1
    vaddlv.s32 r0, r1, q2
    vaddlva.u32 r2, r3, q2
    vmaxv.s8 r0, q1
    vminv.u16 r0, q1
    vmaxav.s32 r0, q1
    vmaxnmv.f32 r0, q1
    vminnmav.f16 r0, q1
    vabav.s8 r0, q1, q2
    vabav.u32 r2, q1, q2
    vabav.s32 r2, q7, q2
    vadd.i8 q0, q1, q2
    vadd.i32 q0, q1, r2
    vsub.i16 q0, q1, r3
    vadd.f32 q0, q1, q2
    vsub.f32 q0, q1, q2
    vadd.f32 q0, q1, r2
    vsub.f16 q0, q1, r2
@ mve_mac
    vmul.i8 q0, q1, q2
    vmul.i32 q0, q1, r2
    vmul.f32 q0, q1, q2
    vmul.f16 q0, q1, r2
    vmul.f32 q0, q1, r2
    vfma.f32 q0, q1, q2
    vfms.f32 q0, q1, q2
    vfma.f32 q0, q1, r2
    vfmas.f32 q0, q1, r2
    vfma.f16 q0, q1, r2
    vmla.s16 q0, q1, r2
    vmla.u8 q0, q1, r2
    vmlas.s32 q0, q1, r2
    vqdmulh.s16 q0, q1, q2
    vqrdmulh.s32 q0, q1, q2
    vqdmulh.s32 q0, q1, r2
    vqrdmulh.s8 q0, q1, r2
    vqdmlah.s32 q0, q1, r2
    vqrdmlah.s32 q0, q1, r2
    vqdmlash.s16 q0, q1, r2
    vqrdmlash.s16 q0, q1, r2
    vqdmladh.s16 q0, q1, q2
    vqrdmladhx.s32 q0, q1, q2
    vqdmlsdh.s16 q0, q1, q2
    vqrdmlsdhx.s32 q0, q1, q2
    vmulh.s8 q0, q1, q2
    vrmulh.u16 q0, q1, q2
    vmulh.s32 q0, q1, q2
    vmullb.s8 q0, q1, q2
    vmullt.u16 q0, q1, q2
    vmullb.s32 q3, q1, q2
    vmullb.p8 q0, q1, q2
    vmullt.p16 q0, q1, q2
    vqdmullb.s16 q0, q1, q2
    vqdmullt.s32 q0, q1, q2
    vqdmullb.s16 q0, q1, r2
    vqdmullt.s32 q0, q1, r2
    vcmul.f32 q0, q1, q2, #90
    vcmul.f16 q0, q1, q2, #270
    vcmla.f32 q0, q1, q2, #0
    vcmla.f16 q0, q1, q2, #270
@ mve_other
    vcadd.f32 q0, q1, q2, #90
    vcadd.i8 q0, q1, q2, #90
    vhcadd.s16 q0, q1, q2, #270
    vadc.i32 q0, q1, q2
    vsbci.i32 q0, q1, q2
    vmovlb.s8 q0, q1
    vmovlt.u16 q0, q1
    vshllb.s8 q0, q1, #3
    vshllt.u16 q0, q1, #16
    vshrnb.i16 q0, q1, #3
    vrshrnt.i32 q0, q1, #4
    vqshrnb.s16 q0, q1, #3
    vqrshrunt.s32 q0, q1, #9
    vmovnb.i16 q0, q1
    vmovnt.i32 q0, q1
    vqmovnb.s16 q0, q1
    vqmovnt.u32 q0, q1
    vqmovunb.s32 q0, q1
    vcvtb.f16.f32 q0, q1
    vcvtt.f32.f16 q0, q1
    vcvt.f32.s32 q0, q1
    vcvtn.s32.f32 q0, q1
    vcvt.s32.f32 q0, q1
    vcvt.s32.f32 q0, q1, #5
    vrintn.f32 q0, q1
    vabs.f32 q0, q1
    vneg.s8 q0, q1
    vrev64.8 q0, q1
    vclz.i32 q0, q1
    vmvn q0, q1
    vand q0, q1, q2
    vorr q0, q1, q2
    vmov.i32 q0, #5
    vmov.f32 q0, #1.0
    vbic.i16 q0, #1
    vmax.s8 q0, q1, q2
    vmin.u32 q0, q1, q2
    vmaxnm.f32 q0, q1, q2
    vmaxa.s8 q0, q1
    vminnma.f32 q0, q1
    vqadd.s8 q0, q1, q2
    vqadd.s8 q0, q1, r2
    vqsub.u16 q0, q1, r2
    vhadd.s8 q0, q1, q2
    vhadd.s8 q0, q1, r2
    vhsub.u32 q0, q1, r2
    vrhadd.u8 q0, q1, q2
    vabd.s16 q0, q1, q2
    vabd.f32 q0, q1, q2
    vshl.s8 q0, q1, q2
    vshl.i32 q0, q1, #3
    vshl.s32 q0, r2
    vrshl.u8 q0, r2
    vqshl.s16 q0, r2
    vqrshl.s32 q0, r2
    vshr.s32 q0, q1, #3
    vsri.32 q0, q1, #3
    vsli.8 q0, q1, #3
    vqshl.s8 q0, q1, #3
    vshlc q0, r2, #5
    vbrsr.8 q0, q1, r2
    vbrsr.32 q0, q1, r2
    vddup.u8 q0, r2, #1
    vidup.u32 q0, r2, #4
    vdwdup.u16 q0, r2, r3, #2
    viwdup.u8 q0, r2, r5, #8
    vdup.32 q0, r1
    vdup.8 q0, r1
    vcmp.i8 eq, q0, q1
    vcmp.s32 gt, q0, r2
    vcmp.u8 cs, q0, r2
    vcmp.f32 ge, q0, q1
    vcmp.f16 lt, q0, r3
    vcmp.f32 lt, q0, q3
    vpsel q0, q1, q2
@ scalar
    vpnot
    vpst
@ mve_other
    vaddt.i8 q0, q1, q2
@ scalar
    vpste
@ mve_other
    vaddt.i8 q0, q1, q2
@ mve_mac
    vmule.i8 q0, q1, q2
@ mve_other
    vpt.s8 gt, q0, q1
    vaddt.i8 q0, q1, q2
    vpt.f32 lt, q0, r1
    vaddt.i8 q0, q1, q2
    vptee.u16 hi, q3, q7
    vaddt.i8 q0, q1, q2
    vadde.i8 q0, q1, q2
    vadde.i8 q0, q1, q2
@ scalar
    vctp.8 r0
    vctp.32 r7
@ fp
    vmov.32 q0[2], r1
    vmov.u8 r0, q1[3]
    vmov q0[2], q0[0], r1, r2
    vmov r1, r2, q0[3], q0[1]
    vmov r0, s1
    vmov s1, r0
    vmov r0, r1, d0
    vldr s0, [r0]
    vstr d0, [r0, #8]
    vpush {d8-d11}
    vpop {d8}
    vldmia r0!, {s0-s3}
    vadd.f32 s0, s1, s2
    vmul.f32 s0, s1, s2
    vfma.f32 s0, s1, s2
    vdiv.f32 s0, s1, s2
    vsqrt.f64 d0, d1
    vcvt.s32.f32 s0, s1
    vcvtn.s32.f32 s0, s1
    vmaxnm.f32 s0, s1, s2
    vrintn.f32 s0, s1
    vcmp.f32 s0, #0
    vmrs APSR_nzcv, fpscr
    vmsr p0, r0
    vmov.f32 s0, #1.0
    vadd.f16 s0, s1, s2
    vseleq.f32 s0, s1, s2
@ scalar
1: dls lr, r0
    dlstp.8 lr, r1
@ branch
    wls lr, r0, 2f
    wlstp.32 lr, r1, 2f
@ scalar
    nop
@ loop_end
    le lr, 1b
    letp lr, 1b
    le 1b
@ scalar
    lctp
@ branch
2: b 1b
    b.w 1b
    beq 1b
    beq.w 1b
    bl 1b
    blx r3
    bx lr
    cbz r0, 3f
    cbnz r1, 3f
    tbb [pc, r0]
    tbh [pc, r1, lsl #1]
@ load_store
3: ldr r0, [r1]
    ldr.w r0, [r1, #4]!
    ldrb r0, [r1]
    ldrsb r0, [r1, r2]
    ldrd r0, r1, [r2], #8
    strd r0, r1, [r2]
    ldm r0!, {r1, r2}
    stmdb r0!, {r1, r2, r8}
    push {r4, lr}
    pop {r4, pc}
    push.w {r4-r9}
    ldr r0, [pc, #4]
    str r0, [sp, #4]
    ldrex r0, [r1]
@ scalar
    add r0, r1, r2
    add.w r8, r1, r2, lsl #3
    mov r0, #1
    movw r0, #1234
    movt r0, #4
    mul r0, r1, r2
    mla r0, r1, r2, r3
    smlad r0, r1, r2, r3
    smull r0, r1, r2, r3
    umaal r0, r1, r2, r3
    sdiv r0, r1, r2
    ssat r0, #8, r1
    asr.w r0, r1, #3
    asrl r0, r1, #3
    lsll r0, r1, r2
    sqrshrl r0, r1, #64, r2
    csel r0, r1, r2, eq
    cinc r0, r1, ne
    it eq
    moveq r0, #1
    nop
    nop.w
    dsb
    isb
    msr apsr_nzcvq, r0
    mrs r0, apsr
    bkpt #1
    adr r0, 3b
    sxtb r0, r1
    clz r0, r1
    .inst.w 0xF3AF8040
