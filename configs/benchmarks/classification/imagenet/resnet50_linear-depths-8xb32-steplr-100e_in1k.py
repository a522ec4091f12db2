# One classifier at the end of res4 and at each block of res5, trained side by side [csml]. The schedule is that of the
# linear evaluation, also where a classifier has 49 times the inputs [ours]; it has not been tried.
_base_ = 'resnet50_linear-8xb32-steplr-100e_in1k.py'

model = dict(
    type='DepthProbe',
    points=dict(res4='layer3', res5_1='layer4.0', res5_2='layer4.1', res5_3='layer4.2'),
    neck=None,
    head=dict(
        _delete_=True, type='DepthHeads', num_classes=1000, loss=dict(type='mmcls.CrossEntropyLoss'),
        points=dict(
            res4=dict(in_channels=1024, side=7),
            res5_1=dict(in_channels=2048, side=7),
            res5_2=dict(in_channels=2048, side=7),
            res5_3=dict(in_channels=2048, side=1))))
val_evaluator = dict(
    _delete_=True, type='mmcls.MultiTasksMetric',
    task_metrics={
        point: [dict(type='mmcls.Accuracy', topk=(1, 5))] for point in ('res4', 'res5_1', 'res5_2', 'res5_3')})
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='res5_3_accuracy/top1'))  # auto would take the first point's
